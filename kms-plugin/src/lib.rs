//! `kms-plugin`: a KMS v2 plugin for kube-apiserver.
