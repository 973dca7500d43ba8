//! What is said where a stored value does not open.

use super::Explanation;

const GET: &str = "rewrap get OBJECT  # names the provider, the key and why it does not open";
const STATUS: &str = "rewrap status  # names every object that does not open, with its cause";
const LINT: &str =
    "rewrap config lint FILE --inventory INVENTORY  # says which keys the file lacks";

const WHOSE: &str = "rewrap config diff OLD NEW  # says whose secret changed, never the secret";
const WHICH: &str = "rewrap config diff OLD NEW  # says which file reads what the other writes";

pub(super) const TEXTS: &[Explanation] = &[
    Explanation {
        text: "no matching prefix found",
        means: "the value was written by a provider that the EncryptionConfiguration of this apiserver does not have for the resource, or it is plain text and there is no identity provider",
        next: &[GET, LINT],
    },
    Explanation {
        text: "no matching key was found for the provided AES transformer",
        means: "the value is under a key whose name the aescbc or aesgcm provider does not have: it was taken out of the file too early, or this apiserver has not loaded the file that has it",
        next: &[GET, LINT, WHICH],
    },
    Explanation {
        text: "no matching key was found for the provided Secretbox transformer",
        means: "the value is under a key whose name the secretbox provider does not have: it was taken out of the file too early, or this apiserver has not loaded the file that has it",
        next: &[GET, LINT, WHICH],
    },
    Explanation {
        text: "identity transformer tried to read encrypted data",
        means: "the value is encrypted, and this apiserver has no rule for its resource: it was started without --encryption-provider-config, or the file does not name the resource",
        next: &[
            "give every apiserver the same file; take a rule out only after `rewrap run` and `rewrap verify`",
            GET,
        ],
    },
    Explanation {
        text: "cipher: message authentication failed",
        means: "AES-GCM refused the value: the key of that name has another secret than the one it was written with, the value lies at another etcd key than it was written to (another --etcd-prefix, a copied value), or its bytes are damaged",
        next: &[GET, WHOSE],
    },
    Explanation {
        text: "output array was not large enough for encryption",
        means: "secretbox refused the value (the words mislead): the key of that name has another secret than the one it was written with, or its bytes are damaged",
        next: &[GET, WHOSE],
    },
    Explanation {
        text: "invalid padding on input",
        means: "aescbc decrypted to nonsense: the key of that name has another secret than the one the value was written with, or its bytes are damaged; aescbc cannot tell which",
        next: &[GET, WHOSE],
    },
    Explanation {
        text: "invalid PKCS7 data (empty or not padded)",
        means: "aescbc decrypted to nonsense: the key of that name has another secret than the one the value was written with, or its bytes are damaged; aescbc cannot tell which",
        next: &[GET, WHOSE],
    },
    Explanation {
        text: "the stored data is not a multiple of the block size",
        means: "the value carries aescbc's prefix and is damaged: its length cannot be",
        next: &[GET, STATUS],
    },
    Explanation {
        text: "the stored data was shorter than the required size",
        means: "the value carries a provider's prefix and is cut short",
        next: &[GET, STATUS],
    },
    Explanation {
        text: "the stored data is missing the required info prefix",
        means: "the value is under KMS v2 and is cut short",
        next: &[GET, STATUS],
    },
    Explanation {
        text: "failed to read uint16 length prefixed data",
        means: "the value is under KMS v1 and is cut short",
        next: &[GET, STATUS],
    },
    Explanation {
        text: "invalid seed length",
        means: "the KMS plugin unwrapped something that is no seed: it opened the DEK source of another writer with another key, or the stored kind of DEK source is damaged",
        next: &[GET, "kms-plugin status"],
    },
    Explanation {
        text: "unable to read sufficient random bytes",
        means: "the kernel of this node gave kube-apiserver no random bytes",
        next: &["look at the node itself: nothing of Kubernetes works safely on it"],
    },
    Explanation {
        text: "unknown encryptedDEKSourceType",
        means: "the value is under KMS v2 in a form that this release does not know: a newer apiserver wrote it, or it is damaged",
        next: &[GET],
    },
    Explanation {
        text: "encrypted data is empty",
        means: "a KMS v2 envelope without content: the value is damaged",
        next: &[GET],
    },
    Explanation {
        text: "encrypted object is nil",
        means: "a KMS v2 envelope without content: the value is damaged",
        next: &[GET],
    },
    Explanation {
        text: "data does not appear to be a protobuf message",
        means: "the value opened to something that is no object: aescbc with a wrong secret passes its padding once in 256 times",
        next: &[GET, STATUS],
    },
    Explanation {
        text: "does not match any of the supported transformers",
        means: "the value begins with no prefix that this apiserver has a provider for",
        next: &[GET, LINT],
    },
    Explanation {
        text: "unable to transform key \"…\"",
        means: "a list fails as a whole because of this one object; a watch of its resource ends likewise",
        next: &[GET, STATUS],
    },
    lost("failed to read one or more … from the storage"),
    lost("StorageError: corrupt object"),
];

/// From 1.32 on, with the feature gate AllowUnsafeMalformedObjectDeletion, on by default in 1.37.
const fn lost(text: &'static str) -> Explanation {
    Explanation {
        text,
        means: "a stored value does not open or does not decode; kube-apiserver calls it corrupt also where \
                only its KMS plugin is away or a key is missing. What is lost for good can be deleted with \
                ignoreStoreReadErrorWithClusterBreakingPotential, which skips finalizers and all else",
        next: &[
            GET,
            STATUS,
            "delete nothing that a plugin that is away, or a key that may be found, would open",
        ],
    }
}
