//! The JSON form of this project (no standard exists): named fields, numbers as decimal strings so that
//! JavaScript keeps them, nodes as lower-case hex.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::proof::{Branch, InclusionProof, MAX_PATH};
use crate::tree::Node;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct BranchJson {
    index: String,
    path: Vec<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ProofJson {
    subtree: Branch,
    index: Branch,
}

impl Serialize for Branch {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let path = self.path.iter().map(hex::encode).collect();
        BranchJson { index: self.index.to_string(), path }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Branch {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let BranchJson { index, path } = BranchJson::deserialize(deserializer)?;
        if path.len() > MAX_PATH {
            return Err(D::Error::custom(format!(
                "path has {} nodes, at most {MAX_PATH} are allowed",
                path.len()
            )));
        }
        let index =
            index.parse().map_err(|_| D::Error::custom("index is not a decimal number of 64 bits"))?;
        let path = path.iter().map(|text| node(text)).collect::<Option<_>>();
        let path = path.ok_or_else(|| D::Error::custom("path holds a node that is not 64 hex digits"))?;
        Ok(Self { index, path })
    }
}

fn node(text: &str) -> Option<Node> {
    let mut node = Node::default();
    hex::decode_to_slice(text, &mut node).ok()?;
    Some(node)
}

impl Serialize for InclusionProof {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        ProofJson { subtree: self.subtree.clone(), index: self.index.clone() }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for InclusionProof {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let ProofJson { subtree, index } = ProofJson::deserialize(deserializer)?;
        Ok(Self { subtree, index })
    }
}
