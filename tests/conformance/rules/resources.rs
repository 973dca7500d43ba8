//! Where every resource lies that there is, whatever it takes to make an object of it.

use serde_json::{Value, json};

use self::contents::contents;
use crate::{
    cluster::Cluster,
    collections::{Collection, collections},
    kinds::{create_namespace, define},
    step,
    support::{
        apiserver::Release,
        encryption::Provider::{AesGcm, Identity},
        kube::Kube,
    },
};

mod contents;

const NAMESPACE: &str = "resources";

#[test]
#[ignore = "needs kube-apiserver: make conformance"]
fn every_resource_lies_where_rewrap_looks() {
    every_resource_lies_where_rewrap_looks_on(Release::NEWEST);
}

pub(super) fn every_resource_lies_where_rewrap_looks_on(release: Release) {
    // Every API, however young; some of them have gates of their own.
    let gates = if release < Release(36) {
        "--feature-gates=AllAlpha=true"
    } else {
        "--feature-gates=AllBeta=true,GenericWorkload=true,TopologyAwareWorkloadScheduling=true,\
         CompositePodGroup=true,EvictionRequestAPI=true"
    };
    let mut cluster = Cluster::of(release, &["--runtime-config=api/all=true", gates]);
    create_namespace(&cluster.kube(), NAMESPACE);
    define(&cluster.kube(), "pandas", "Panda");
    let collections = collections(&cluster.kube());
    let failures: Vec<_> = collections
        .iter()
        .filter_map(|collection| create(&cluster.kube(), collection).err())
        .collect();
    assert!(failures.is_empty(), "{failures:#?}");
    eprintln!("{} resources", collections.len());
    cluster.counts_like_the_apiserver();

    step("all of them are encrypted");
    cluster.write_encryption(&["*.*"], &[AesGcm("key"), Identity]);
    cluster.restart();
    cluster.rewrap_run(&[]).expect(0);
    cluster.rewrap("verify", &[]).expect(0);
    cluster.write_encryption(&["*.*"], &[AesGcm("key")]);
    cluster.restart();
    cluster.counts_like_the_apiserver();
    for area in cluster.status(&[])["unowned"].as_array().unwrap() {
        assert_ne!(area["reason"], "an unknown resource", "{area:#}");
    }
}

/// Creates an object of a resource that has none yet; says why it was refused.
fn create(kube: &Kube, collection: &Collection) -> Result<(), String> {
    if !kube.list(&collection.path()).unwrap().is_empty() {
        return Ok(());
    }
    let name = match &*collection.plural {
        "clustertrustbundles" => "example.com:none:one",
        "ipaddresses" => "192.0.2.1",
        "storageversions" => "example.com.none",
        _ => "one",
    };
    let mut refusal = String::new();
    for content in contents(&collection.plural) {
        let api_version = collection.version.trim_start_matches("/apis/");
        let mut object = json!({
            "apiVersion": api_version.trim_start_matches("/api/"), "kind": collection.kind,
            "metadata": {"name": name},
        });
        if let (Value::Object(object), Value::Object(content)) = (&mut object, content) {
            object.extend(content);
        }
        match kube.create(&collection.path_in(NAMESPACE), &object) {
            Ok(_) => return Ok(()),
            Err(error) => refusal = error.to_string(),
        }
    }
    Err(format!("{}: {refusal}", collection.resource))
}
