//! What `make conformance-all` runs besides: the releases between the oldest and the newest.
//! `make conformance` leaves this module out by its name.

mod upgrade;

/// The suites that every release lives through, for these minor releases of Kubernetes 1.
macro_rules! releases {
    ($($name:ident: $minor:literal),*) => {$(
        mod $name {
            use crate::{
                clocks::{away, disagreement, refusals, reload, rotation},
                matrix, rules, story,
                support::apiserver::Release,
            };

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

            #[test]
            #[ignore = "needs kube-apiserver: make conformance-all"]
            fn a_new_key_id_is_written_under_at_the_next_poll() {
                rotation::a_new_key_id_is_written_under_at_the_next_poll_on(Release($minor));
            }

            #[test]
            #[ignore = "needs kube-apiserver: make conformance-all"]
            fn while_status_and_encrypt_disagree_the_old_seed_stays() {
                disagreement::while_status_and_encrypt_disagree_the_old_seed_stays_on(Release($minor));
            }

            #[test]
            #[ignore = "needs kube-apiserver: make conformance-all"]
            fn a_plugin_that_is_away_stops_only_what_needs_it() {
                away::a_plugin_that_is_away_stops_only_what_needs_it_on(Release($minor));
            }

            #[test]
            #[ignore = "needs kube-apiserver: make conformance-all"]
            fn an_error_or_silence_stops_writers() {
                refusals::an_error_or_silence_stops_writers_on(Release($minor));
            }

            #[test]
            #[ignore = "needs kube-apiserver: make conformance-all"]
            fn a_good_file_is_taken_and_a_bad_one_is_not() {
                reload::a_good_file_is_taken_and_a_bad_one_is_not_on(Release($minor));
            }

            #[test]
            #[ignore = "needs kube-apiserver: make conformance-all"]
            fn every_rule() {
                rules::every_rule_on(Release($minor));
            }
        }
    )*};
}

releases! { v1_28: 28, v1_29: 29, v1_30: 30, v1_34: 34 }

/// `make conformance` runs the other suites on it.
mod v1_31 {
    use crate::{rules, support::apiserver::Release};

    #[test]
    #[ignore = "needs kube-apiserver: make conformance-all"]
    fn every_rule() {
        rules::every_rule_on(Release(31));
    }
}

#[test]
#[ignore = "needs kube-apiserver and Vault: make conformance-all"]
fn no_other_trouble_of_the_root_is_felt_either() {
    crate::clocks::outage::no_other_trouble_is_felt_either();
}
