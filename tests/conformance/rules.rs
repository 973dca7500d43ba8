//! The rules by which kube-apiserver chooses a transformer, each tried on both programs.

mod keys;
mod misread;
mod stores;
mod strangers;
mod wildcards;
