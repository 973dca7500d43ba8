//! Secrets as kube-apiserver serialises them before a transformer sees them.

/// The plain text of a Secret of about this many bytes: `k8s\0` and a `runtime.Unknown` (field numbers:
/// `generated.proto` in `k8s.io/apimachinery/pkg/runtime`, `.../apis/meta/v1` and `k8s.io/api/core/v1`).
pub(crate) fn secret(namespace: &str, name: &str, size: usize) -> Vec<u8> {
    let least = serialised(namespace, name, 0).len();
    let mut filler = size.saturating_sub(least);
    // The lengths in the message grow with the filler.
    while filler > 0 {
        let secret = serialised(namespace, name, filler);
        if secret.len() <= size {
            return secret;
        }
        filler -= 1;
    }
    serialised(namespace, name, 0)
}

fn serialised(namespace: &str, name: &str, filler: usize) -> Vec<u8> {
    let metadata = [
        field(1, name.as_bytes()),
        field(3, namespace.as_bytes()),
        field(5, b"3f6e3f43-6f4c-4d6f-9a0e-2b3c4d5e6f70"),
    ]
    .concat();
    let filler: Vec<_> = (0..filler).map(|i| (i % 251) as u8).collect();
    let data = [field(1, b"data"), field(2, &filler)].concat();
    let object = [field(1, &metadata), field(2, &data), field(3, b"Opaque")].concat();
    let types = [field(1, b"v1"), field(2, b"Secret")].concat();
    let unknown = [
        field(1, &types),
        field(2, &object),
        field(3, b""),
        field(4, b""),
    ]
    .concat();
    [b"k8s\0", unknown.as_slice()].concat()
}

/// A length-delimited field of protobuf.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let mut field = vec![number << 3 | 2];
    let mut len = bytes.len();
    while len >= 0x80 {
        field.push(len as u8 | 0x80);
        len >>= 7;
    }
    field.push(len as u8);
    field.extend_from_slice(bytes);
    field
}
