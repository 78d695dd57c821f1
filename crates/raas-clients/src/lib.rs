//! raas-clients
