//! Aggregates: their pieces in order, all or nothing.

use crate::support::{commitment, piece, size, store};
use raas_core::units::PaddedSize;
use raas_node::store::{PieceIn, StoredAggregate};

#[tokio::test]
async fn an_aggregate_keeps_the_order_of_its_pieces_and_never_changes() {
    let store = store().await;
    for number in 1..4 {
        store.record_piece(&piece(number)).await.unwrap();
    }
    let (aggregate, deal) = (commitment(100), PaddedSize::new(1 << 30).unwrap());
    let order = [3, 1, 3, 2].map(commitment);
    assert!(store.put_aggregate(aggregate, deal, &order).await.unwrap());
    let wanted = StoredAggregate {
        size: deal,
        pieces: [3, 1, 3, 2]
            .map(|n| PieceIn { commitment: commitment(n), size: size(), car_bytes: piece(n).car_bytes })
            .to_vec(),
    };
    assert_eq!(store.aggregate(aggregate).await.unwrap(), Some(wanted.clone()));
    // Whatever is said of it later.
    assert!(store.put_aggregate(aggregate, deal, &order[..1]).await.unwrap());
    assert_eq!(store.aggregate(aggregate).await.unwrap(), Some(wanted));
    assert_eq!(store.aggregate(commitment(101)).await.unwrap(), None);
}

#[tokio::test]
async fn nothing_is_stored_of_an_aggregate_with_a_piece_that_nobody_knows() {
    let store = store().await;
    store.record_piece(&piece(1)).await.unwrap();
    let (aggregate, deal) = (commitment(100), PaddedSize::new(1 << 30).unwrap());
    assert!(!store.put_aggregate(aggregate, deal, &[1, 9].map(commitment)).await.unwrap());
    assert_eq!(store.aggregate(aggregate).await.unwrap(), None);
    // Its piece comes later, and then it goes.
    store.record_piece(&piece(9)).await.unwrap();
    assert!(store.put_aggregate(aggregate, deal, &[1, 9].map(commitment)).await.unwrap());
    assert_eq!(store.aggregate(aggregate).await.unwrap().map(|stored| stored.pieces.len()), Some(2));
}

#[tokio::test]
async fn an_aggregate_keeps_the_rows_of_its_pieces_but_not_their_bytes() {
    let store = store().await;
    for number in 1..3 {
        store.record_piece(&piece(number)).await.unwrap();
    }
    let (aggregate, deal) = (commitment(100), PaddedSize::new(1 << 30).unwrap());
    assert!(store.put_aggregate(aggregate, deal, &[1].map(commitment)).await.unwrap());
    assert_eq!(store.mark_spare(7).await.unwrap().len(), 2, "nothing else keeps them");
    for number in 1..3 {
        store.forget_piece(commitment(number)).await.unwrap();
    }
    assert!(!store.piece(commitment(1)).await.unwrap().unwrap().local);
    assert!(store.piece(commitment(2)).await.unwrap().is_none());
    assert_eq!(store.aggregate(aggregate).await.unwrap().map(|stored| stored.pieces.len()), Some(1));
    assert!(
        store.mark_spare(8).await.unwrap().is_empty(),
        "there is nothing to collect of a row that is needed"
    );
}
