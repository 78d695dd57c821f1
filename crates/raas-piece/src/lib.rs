//! raas-piece
