//! The rules by which kube-apiserver chooses a transformer, each tried on both programs.

use crate::support::apiserver::Release;

mod keys;
mod misread;
mod resources;
mod stores;
mod strangers;
mod wildcards;

/// All that the tests in here do with the newest release.
pub(crate) fn every_rule_on(release: Release) {
    keys::names_keys_and_providers_that_overlap_on(release);
    misread::what_kube_apiserver_misreads_is_opened_and_mended_on(release);
    resources::every_resource_lies_where_rewrap_looks_on(release);
    stores::another_prefix_and_a_second_etcd_on(release);
    strangers::what_no_apiserver_serves_on(release);
    wildcards::names_and_wildcards_on(release);
}
