//! What is said where a file is refused: the words of `k8s.io/apiserver`'s validation
//! (`pkg/apis/apiserver/validation/validation_encryption.go`) and of its loader
//! (`pkg/server/options/encryptionconfig/config.go`).

use super::Explanation;

const LINT: &str = "rewrap config lint FILE --kubernetes-version 1.N  # names the line";

/// A file that is refused: all that differs is what is wrong with it.
const fn refused(text: &'static str, means: &'static str) -> Explanation {
    Explanation {
        text,
        means,
        next: &[LINT],
    }
}

/// 1.28 and 1.29 say this in other words than the later ones.
const fn not_there(text: &'static str) -> Explanation {
    Explanation {
        text,
        means: "the file is not where kube-apiserver looks: its directory is not mounted into the pod, or it may not be read",
        next: &["rewrap config lint --from-manifest /etc/kubernetes/manifests/kube-apiserver.yaml"],
    }
}

pub(super) const TEXTS: &[Explanation] = &[
    refused(
        "more than one provider specified in a single element",
        "an element of `providers` has two kinds: each is an element of its own, with a dash of its own",
    ),
    refused(
        "provider does not contain any of the expected providers",
        "an element of `providers` has no kind that there is; `identity:` alone is none, `identity: {}` is",
    ),
    refused(
        "secret is not of the expected length",
        "the decoded secret must have 32 bytes; aescbc and aesgcm also take 16 and 24",
    ),
    refused(
        "secrets must be base64 encoded",
        "the secret is not standard base64 with its padding; a blank or the URL alphabet is refused",
    ),
    refused(
        "unsupported scheme",
        "the endpoint of a KMS provider must begin with unix://",
    ),
    refused(
        "invalid endpoint for kms provider",
        "the endpoint of a KMS provider is no URL",
    ),
    refused(
        "only v1 and v2 are supported",
        "the apiVersion of a KMS provider must be v1 or v2; an absent one is v1",
    ),
    refused("at least one … is required", "a list of the file is empty"),
    refused(
        "… is a mandatory field for a …",
        "a field is missing or empty",
    ),
    refused(
        "should be a positive value",
        "a timeout must be longer than nothing; the cachesize of KMS v1 must not be 0",
    ),
    refused(
        "cachesize is not supported in v2",
        "KMS v2 has no cachesize: take the line out",
    ),
    refused(
        "must not contain ':'",
        "the name of a KMS v2 provider must not contain a colon",
    ),
    refused(
        "duplicate KMS provider name",
        "two KMS providers of the file have one name; to use one socket for several entries of `resources`, put the resources into one entry",
    ),
    refused(
        "'*.events.k8s.io' objects are stored using the 'events' API group",
        "events are stored in the core group: write `events`",
    ),
    refused(
        "'extensions' group has been removed",
        "write the group that the resource has today: `deployments.apps`",
    ),
    refused(
        "use '*.' to encrypt all the resources from core API group",
        "`*` alone is no name: write `*.*` or `*.`",
    ),
    refused(
        "using overlapping resources such as 'secrets' and '*.'",
        "a wildcard covers a name beside it: put the name into an entry of its own before the wildcard",
    ),
    refused(
        "resources which do not have REST API/s cannot be encrypted",
        "the resource is never encrypted: take it out",
    ),
    refused(
        "resource name should not contain capital letters",
        "write the plural in small letters: `secrets`",
    ),
    refused(
        "encrypting the same resource across groups is not supported",
        "`NAME.*` is no name: write every group",
    ),
    refused(
        "the same resource cannot be specified multiple times",
        "a resource stands twice in one list",
    ),
    refused(
        "is masked by earlier rule",
        "an entry behind a wildcard that covers it would never be used: put it before the wildcard",
    ),
    Explanation {
        text: "KMSv1 is deprecated",
        means: "from 1.29 on KMS v1 needs --feature-gates=KMSv1=true; a provider without apiVersion is v1",
        next: &["write `apiVersion: v2` where the plugin speaks v2", LINT],
    },
    Explanation {
        text: "KMSv2 feature is not enabled",
        means: "this kube-apiserver was started with --feature-gates=KMSv2=false (possible up to 1.28)",
        next: &["take the gate out of its flags"],
    },
    refused(
        "error decoding encryption provider configuration file",
        "the file does not parse",
    ),
    refused(
        "got unexpected config type",
        "apiVersion or kind is not that of an EncryptionConfiguration",
    ),
    refused(
        "encryption provider configuration file … is empty",
        "there is nothing in the file",
    ),
    refused(
        "strict decoding error: … unknown field",
        "a field is misspelt: from 1.31 on kube-apiserver refuses what it does not know",
    ),
    not_there("error opening encryption provider configuration file"),
    not_there("error reading encryption provider configuration file"),
    Explanation {
        text: "health check for new transformers failed",
        means: "a changed file was not taken, the old one is still in use: a KMS plugin that it names does not answer as it must; kube-apiserver tries again",
        next: &["kms-plugin status", "rewrap config diff OLD NEW"],
    },
    Explanation {
        text: "error processing encryption config file",
        means: "a changed file was not taken, the old one is still in use",
        next: &[LINT],
    },
    Explanation {
        text: "could not configure KMSv…-Plugin's probe",
        means: "the endpoint of a KMS provider cannot be used",
        next: &[LINT],
    },
];
