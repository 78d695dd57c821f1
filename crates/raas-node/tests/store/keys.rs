//! Keys of the API: found by their text alone, ended in time or by hand, and never stored as they are shown.

use raas_core::ids::OwnerId;
use raas_node::store::{KeyScope, NewKey, NoKey, Store};

fn wanted(tenant: &str, scope: KeyScope, expires_unix: Option<i64>) -> NewKey {
    NewKey {
        tenant: OwnerId(tenant.to_owned()),
        scope,
        name: "a test".to_owned(),
        made_unix: 100,
        expires_unix,
    }
}

#[tokio::test]
async fn a_key_is_found_by_its_text_until_it_ends_or_is_revoked() {
    let store = crate::support::store().await;
    assert!(!store.has_keys().await.unwrap());
    let (key, text) = store.make_key(&wanted("alice", KeyScope::Write, Some(200))).await.unwrap();
    assert!(store.has_keys().await.unwrap());
    assert_eq!(store.key_of(&text, 199).await.unwrap(), Some(key.clone()));
    assert_eq!(store.key_of(&text, 200).await.unwrap(), None, "it has ended");
    let mut other = text.clone().into_bytes();
    let last = other.last_mut().unwrap();
    *last = if *last == b'0' { b'1' } else { b'0' };
    let other = String::from_utf8(other).unwrap();
    let capital = text.to_uppercase();
    let (longer, without) = (format!("{text}0"), format!("raas_{}_", key.id));
    let wrongs =
        ["", "raas_", &text[5..], other.as_str(), capital.as_str(), longer.as_str(), without.as_str()];
    for wrong in wrongs {
        assert_eq!(store.key_of(wrong, 150).await.unwrap(), None, "{wrong}");
    }
    let (endless, its) = store.make_key(&wanted("bob", KeyScope::Read, None)).await.unwrap();
    assert_eq!(store.key_of(&its, i64::MAX).await.unwrap().map(|key| key.tenant.0), Some("bob".to_owned()));
    assert!(store.revoke_key(&endless.id, 150).await.unwrap());
    assert!(!store.revoke_key(&endless.id, 151).await.unwrap(), "once");
    assert!(!store.revoke_key("nobody", 151).await.unwrap());
    assert_eq!(store.key_of(&its, 120).await.unwrap(), None);
    let ids: Vec<(String, Option<i64>)> =
        store.keys().await.unwrap().into_iter().map(|key| (key.id, key.revoked_unix)).collect();
    assert_eq!(ids.len(), 2);
    assert!(ids.contains(&(endless.id, Some(150))) && ids.contains(&(key.id, None)));
    assert!(store.has_keys().await.unwrap(), "a revoked key does not open the node again");
}

#[test]
fn what_cannot_be_a_key_is_refused_with_its_field() {
    let refused = |key: &NewKey| key.check().expect_err("refused");
    let long = "a".repeat(65);
    for tenant in ["", "Alice", "0x00", "a b", "unknown at 0x", "-a", long.as_str()] {
        assert_eq!(refused(&wanted(tenant, KeyScope::Read, None)), NoKey::Tenant, "{tenant}");
    }
    assert_eq!(refused(&wanted("alice", KeyScope::Admin, None)), NoKey::Admin);
    assert_eq!(refused(&wanted("alice", KeyScope::Read, Some(100))), NoKey::Expired);
    let named = NewKey { name: "x".repeat(101), ..wanted("alice", KeyScope::Read, None) };
    assert_eq!(refused(&named), NoKey::Name);
    assert_eq!(wanted("local", KeyScope::Admin, Some(101)).check(), Ok(()));
}

#[tokio::test]
async fn beside_a_running_node_keys_are_made_without_taking_its_leases_and_without_their_secret() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("raas.sqlite");
    let node = Store::open(&path, "node").await.unwrap();
    let beside = Store::open_beside(&path, "key").await.unwrap();
    let (_, text) = beside.make_key(&wanted("alice", KeyScope::Read, None)).await.unwrap();
    beside.close().await;
    assert!(node.key_of(&text, 150).await.unwrap().is_some(), "the node heeds it at once");
    node.bind_network("devnet", "bafygenesis").await.expect("the node still writes");
    node.close().await;
    let secret = text.rsplit('_').next().unwrap();
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        assert!(
            !bytes.windows(secret.len()).any(|window| window == secret.as_bytes()),
            "the secret is stored"
        );
    }
    // Where there is no store yet, one is made.
    let new = folder.path().join("new.sqlite");
    let made = Store::open_beside(&new, "key").await.unwrap();
    made.make_key(&wanted("local", KeyScope::Admin, None)).await.unwrap();
    made.close().await;
    assert!(Store::open(&new, "node").await.unwrap().has_keys().await.unwrap());
}
