//! What is said of a KMS plugin.

use super::Explanation;

const STATUS: &str =
    "kms-plugin status  # on this node: its keys, and whether a reload was refused";
const CHECK: &str = "kms-plugin check  # names the file, the field or the right that is wrong";
const LOG: &str = "journalctl -u kms-plugin -n 20  # or the logs of its static pod";

/// In Ringfence's repository.
const CONTRACT: &str = "make kms-contract SOCKET=/path/to.sock  # tries what a plugin must do";

pub(super) const TEXTS: &[Explanation] = &[
    // The words of kms-plugin itself, which kube-apiserver passes on (`kek.rs` and `grpc.rs` there).
    Explanation {
        text: "desc = starting: ",
        means: "kms-plugin has no local KEK yet: no root has answered since it started, and what was kept does not open without one",
        next: &[
            STATUS,
            "kms-plugin check --config FILE  # asks every root",
            "it recovers by itself when a root answers; if all are gone: docs/disaster-recovery.md",
        ],
    },
    Explanation {
        text: "desc = the key is refused: ",
        means: "a revocation: every root that wraps denies its key, again and again after a login that succeeded. kms-plugin has wiped what it held",
        next: &[
            STATUS,
            "give access back at the root; it goes on by itself then",
        ],
    },
    Explanation {
        text: "desc = offlineGrace is over: ",
        means: "no root could be reached for longer than kms-plugin may serve without",
        next: &[STATUS, "bring the root back; it goes on by itself then"],
    },
    Explanation {
        text: "desc = no root of this configuration wrapped its local KEK",
        means: "a stored DEK source needs a root that is not in `roots` of kms-plugin's configuration any more",
        next: &[
            "add the root that the text names to `roots` again, and reload",
            "rewrap status  # says how much each root opens",
        ],
    },
    Explanation {
        text: "desc = the roots did not answer in the time that the caller waits",
        means: "kms-plugin asked a root to unwrap a local KEK, and the answer came too late for this call",
        next: &[STATUS],
    },
    Explanation {
        text: "connect: no such file or directory",
        means: "nothing is at the path of the plugin's socket: the plugin does not run, its directory is not mounted into kube-apiserver's pod, or the file names another path",
        next: &[
            STATUS,
            LOG,
            "compare `endpoint` with `socket` in the plugin's configuration",
        ],
    },
    Explanation {
        text: "connect: connection refused",
        means: "the plugin's socket is there and nobody serves it: the plugin has ended",
        next: &[LOG, CHECK],
    },
    Explanation {
        text: "connect: permission denied",
        means: "kube-apiserver may not open the plugin's socket: its user or the directory's mode",
        next: &[CHECK],
    },
    Explanation {
        text: "error code: PROTOCOL_ERROR",
        means: "the plugin refuses the :authority that kube-apiserver before 1.32 sends, the path of the socket: Rust's HTTP/2 does so by itself; kms-plugin serves these apiservers, others may not",
        next: &[CONTRACT],
    },
    Explanation {
        text: "code = DeadlineExceeded",
        means: "the plugin did not answer in the `timeout` of its provider",
        next: &[
            STATUS,
            LOG,
            "a key server behind the plugin that is slow or away shows in its log",
        ],
    },
    Explanation {
        text: "code = Unimplemented",
        means: "the socket is of a program that does not speak this KMS API: v1 and v2 are two services",
        next: &["look at `apiVersion` and `endpoint` of the provider: an absent apiVersion is v1"],
    },
    Explanation {
        text: "failed to decrypt DEK, error: ",
        means: "the plugin is away, or refuses to unwrap what this value is under: its KEK was taken out of the keyring too early, or the plugin has another `context`",
        next: &[
            STATUS,
            "rewrap status  # shows the key ids that stored objects are under",
            "put the KEK back; `rewrap verify` says when one may go",
        ],
    },
    Explanation {
        text: "failed to encrypt DEK, error: ",
        means: "the plugin did not wrap a new seed: it is away, or what it answered is refused; the rest of the text says which. kube-apiserver goes on with its old seed until that expires",
        next: &[STATUS, LOG],
    },
    Explanation {
        text: "encryptedDEKSource with keyID hash \"…\" expired at",
        means: "writes are refused: the plugin gave no good Status for 3 minutes. Reads go on where the DEK source is in memory. Do not restart kube-apiserver: it could read nothing of this provider",
        next: &[STATUS, LOG, "it recovers by itself when the plugin is back"],
    },
    Explanation {
        text: "failed to rotate DEK uid=",
        means: "the key id of the plugin changed and no new seed was made: Status and Encrypt disagree, or the plugin is away. The old seed is used on until it expires",
        next: &[
            STATUS,
            "all plugins of a cluster need the same keyring, in the same order",
        ],
    },
    Explanation {
        text: "failed to perform status section of the healthz check",
        means: "the plugin does not answer Status",
        next: &[STATUS, LOG],
    },
    Explanation {
        text: "failed to perform encrypt section of the healthz check",
        means: "the plugin does not wrap",
        next: &[STATUS, LOG],
    },
    Explanation {
        text: "failed to perform decrypt section of the healthz check",
        means: "the plugin does not unwrap what it wrapped itself",
        next: &[STATUS, LOG],
    },
    Explanation {
        text: "got unexpected healthz status: ",
        means: "the plugin says of itself that it is not healthy; its words follow",
        next: &[STATUS, LOG],
    },
    Explanation {
        text: "expected KMSv2 API version",
        means: "the plugin states another version than v2 (or v2beta1)",
        next: &[CONTRACT],
    },
    Explanation {
        text: "KMSv2 API version should not change after the initial status response",
        means: "the plugin was replaced by one of another API version under a running apiserver",
        next: &["restart kube-apiserver after such a change, when the plugin is healthy"],
    },
    Explanation {
        text: "keyID is empty",
        means: "the plugin names no key id, or the stored envelope has none",
        next: &[CONTRACT],
    },
    Explanation {
        text: "keyID is … bytes, which exceeds the max size",
        means: "the plugin's key id is longer than 1 KiB",
        next: &[CONTRACT],
    },
    Explanation {
        text: "encrypted DEK source is empty",
        means: "the plugin answered Encrypt with nothing, or the stored envelope is damaged",
        next: &[CONTRACT],
    },
    Explanation {
        text: "encrypted DEK source is … bytes, which exceeds the max size",
        means: "the plugin's ciphertext is longer than 1 KiB",
        next: &[CONTRACT],
    },
    Explanation {
        text: "total size of annotations is … which exceeds the max size",
        means: "the plugin's annotations are longer than 32 KiB together",
        next: &[CONTRACT],
    },
    Explanation {
        text: "got invalid KMSv2 KeyID hash",
        means: "the key id of the plugin's Status is empty or longer than 1 KiB",
        next: &[CONTRACT],
    },
    Explanation {
        text: "got invalid EncryptedObject",
        means: "what the plugin answered Encrypt with is refused; the rest of the text says why",
        next: &[CONTRACT],
    },
    Explanation {
        text: "failed to validate annotations",
        means: "the plugin's annotations are longer than 32 KiB together, or a key of them is no domain name",
        next: &[CONTRACT],
    },
    Explanation {
        text: "failed get version from remote KMS provider",
        means: "the KMS v1 plugin does not answer",
        next: &["look at `apiVersion` of the provider: an absent one is v1"],
    },
    Explanation {
        text: "failed to create connection to ",
        means: "the endpoint of a KMS provider cannot be dialled",
        next: &["rewrap config lint FILE"],
    },
    Explanation {
        text: "kmsv2 Provider … is not healthy",
        means: "the plugin's Status was refused; the rest of the text says why",
        next: &[STATUS, LOG],
    },
];
