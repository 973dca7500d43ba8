//! What `make conformance-all` runs besides: the releases between the oldest and the newest.
//! `make conformance` leaves this module out by its name.

mod upgrade;

/// The suites that every release lives through, for these minor releases of Kubernetes 1.
macro_rules! releases {
    ($($name:ident: $minor:literal),*) => {$(
        mod $name {
            use crate::{matrix, story, support::apiserver::Release};

            #[test]
            #[ignore = "needs kube-apiserver: make conformance-all"]
            fn from_plain_text_through_every_key_and_back() {
                story::from_plain_text_through_every_key_and_back_on(Release($minor));
            }

            #[test]
            #[ignore = "needs kube-apiserver: make conformance-all"]
            fn every_transformer_both_ways() {
                matrix::every_transformer_both_ways_on(Release($minor));
            }
        }
    )*};
}

releases! { v1_28: 28, v1_29: 29, v1_30: 30, v1_34: 34 }
