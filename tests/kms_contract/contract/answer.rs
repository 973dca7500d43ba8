//! An answer as the gRPC protocol has it
//! (<https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md>).

use h2::client::ResponseFuture;
use http::HeaderMap;

/// More than any answer to what a rule asks.
const MAX_LEN: usize = 32 << 20;

/// What a plugin says when it says no.
#[derive(Debug)]
pub(super) struct Refusal {
    /// The gRPC status code; never 0.
    pub(super) code: u32,
    /// The text beside it.
    pub(super) message: String,
    /// All that came: the text, headers, trailers and data.
    pub(super) said: Vec<u8>,
}

/// Reads an answer to its end: its message, or a refusal. Whatever else it is, is the error.
pub(super) async fn receive(response: ResponseFuture) -> Result<Result<Vec<u8>, Refusal>, String> {
    let (head, mut body) = response.await.map_err(text)?.into_parts();
    if head.status != 200 {
        return Err(format!("the HTTP status is {} and not 200", head.status));
    }
    let content_type = head.headers.get("content-type");
    if !content_type.is_some_and(|it| it.as_bytes().starts_with(b"application/grpc")) {
        return Err(format!(
            "the content type is {content_type:?} and not application/grpc"
        ));
    }
    let mut data = Vec::new();
    while let Some(part) = body.data().await {
        let part = part.map_err(text)?;
        body.flow_control()
            .release_capacity(part.len())
            .map_err(text)?;
        data.extend_from_slice(&part);
        if data.len() > MAX_LEN {
            return Err(format!("the answer is longer than {MAX_LEN} bytes"));
        }
    }
    let trailers = body.trailers().await.map_err(text)?.unwrap_or_default();
    let status = ["grpc-status", "grpc-message"].map(|name| {
        let value = trailers.get(name).or_else(|| head.headers.get(name));
        value.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
    });
    let [Some(code), message] = status else {
        return Err("there is no grpc-status".to_owned());
    };
    let code = code
        .parse()
        .map_err(|_| format!("the grpc-status is {code:?}"))?;
    if code == 0 {
        return match split_message(&data) {
            Some(message) => Ok(Ok(message.to_vec())),
            None => Err("the data are not one uncompressed message with its length".to_owned()),
        };
    }
    let message = percent_decoded(&message.unwrap_or_default());
    let mut said = message.clone().into_bytes();
    for headers in [&head.headers, &trailers] {
        said.extend(lines(headers));
    }
    said.extend(data);
    Ok(Err(Refusal {
        code,
        message,
        said,
    }))
}

/// The one message in the DATA of an answer.
pub(crate) fn split_message(data: &[u8]) -> Option<&[u8]> {
    let ([0, len @ ..], message) = data.split_first_chunk::<5>()? else {
        return None;
    };
    (u32::from_be_bytes(*len) as usize == message.len()).then_some(message)
}

fn lines(headers: &HeaderMap) -> Vec<u8> {
    let line = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
        [b"\n", name.as_str().as_bytes(), b": ", value.as_bytes()].concat()
    };
    headers.iter().flat_map(line).collect()
}

fn percent_decoded(text: &str) -> String {
    let mut bytes = text.as_bytes();
    let mut decoded = Vec::new();
    while let [first, rest @ ..] = bytes {
        let hex = rest.get(..2).filter(|_| *first == b'%');
        let mut byte = [*first];
        let is_escape = hex.is_some_and(|hex| hex::decode_to_slice(hex, &mut byte).is_ok());
        decoded.extend(byte);
        bytes = &bytes[if is_escape { 3 } else { 1 }..];
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

fn text(error: h2::Error) -> String {
    error.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_taken_only_whole_and_uncompressed() {
        assert_eq!(split_message(b"\0\0\0\0\x02hi"), Some(&b"hi"[..]));
        assert_eq!(split_message(b"\0\0\0\0\0"), Some(&b""[..]));
        for data in [
            &b""[..],
            b"\0\0\0\0",
            b"\x01\0\0\0\x02hi",
            b"\0\0\0\0\x03hi",
        ] {
            assert_eq!(split_message(data), None);
        }
    }

    #[test]
    fn a_message_beside_a_code_is_percent_decoded() {
        assert_eq!(percent_decoded("50%25 %C3%bC %zz%"), "50% ü %zz%");
    }
}
