//! The second way into an etcd, its JSON gateway, which shares no code with the store.

use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Value, json};

use super::{Etcd, http};
use crate::support::eventually;

impl Etcd {
    /// Writes a key and returns the revision.
    pub(crate) fn put(&self, key: &str, value: &[u8]) -> i64 {
        self.put_with_lease(key, value, 0)
    }

    /// Writes a key under a lease and returns the revision.
    pub(crate) fn put_with_lease(&self, key: &str, value: &[u8], lease: i64) -> i64 {
        let body = json!({"key": b64(key), "value": b64(value), "lease": lease.to_string()});
        number(&self.post("/v3/kv/put", &body)["header"]["revision"])
    }

    /// Deletes a key.
    pub(crate) fn delete(&self, key: &str) {
        self.post("/v3/kv/deleterange", &json!({"key": b64(key)}));
    }

    /// The value of a key and its lease.
    pub(crate) fn get(&self, key: &str) -> Option<(Vec<u8>, i64)> {
        let answer = self.post("/v3/kv/range", &json!({"key": b64(key)}));
        let kv = answer["kvs"].get(0)?;
        let value = kv["value"].as_str().unwrap_or_default();
        Some((BASE64_STANDARD.decode(value).unwrap(), number(&kv["lease"])))
    }

    /// What is stored under a key.
    pub(crate) fn stored(&self, key: &str) -> Option<Stored> {
        self.range(key.as_bytes(), format!("{key}\0").as_bytes())
            .pop()
    }

    /// The revision of the newest write.
    pub(crate) fn revision(&self) -> i64 {
        number(&self.post("/v3/kv/range", &json!({"key": b64("\0")}))["header"]["revision"])
    }

    /// Everything under keys that begin with `prefix`.
    pub(crate) fn list(&self, prefix: &str) -> Vec<Stored> {
        // The end of the range is the prefix with its last byte raised.
        let mut end = prefix.as_bytes().to_vec();
        *end.last_mut().unwrap() += 1;
        self.range(prefix.as_bytes(), &end)
    }

    /// All keys and all leases: what must be the same before and after whatever must not write.
    pub(crate) fn everything(&self) -> Everything {
        let answer = self.post("/v3/lease/leases", &json!({}));
        let leases = answer["leases"].as_array().map_or(&[][..], Vec::as_slice);
        let mut leases: Vec<_> = leases.iter().map(|lease| number(&lease["ID"])).collect();
        leases.sort_unstable();
        Everything {
            // From the first key that there can be, to the end of all keys.
            keys: self.range(b"\0", b"\0"),
            leases,
        }
    }

    fn range(&self, first: &[u8], end: &[u8]) -> Vec<Stored> {
        let answer = self.post(
            "/v3/kv/range",
            &json!({"key": b64(first), "range_end": b64(end)}),
        );
        let kvs = answer["kvs"].as_array().map_or(&[][..], Vec::as_slice);
        let bytes = |value: &Value| {
            BASE64_STANDARD
                .decode(value.as_str().unwrap_or_default())
                .unwrap()
        };
        kvs.iter()
            .map(|kv| Stored {
                key: String::from_utf8(bytes(&kv["key"])).unwrap(),
                value: bytes(&kv["value"]),
                revision: number(&kv["mod_revision"]),
                version: number(&kv["version"]),
                lease: number(&kv["lease"]),
            })
            .collect()
    }

    /// A new lease of so many seconds.
    pub(crate) fn lease(&self, seconds: i64) -> i64 {
        number(&self.post("/v3/lease/grant", &json!({"TTL": seconds}))["ID"])
    }

    /// Ends a lease and deletes its keys.
    pub(crate) fn revoke(&self, lease: i64) {
        self.post("/v3/lease/revoke", &json!({"ID": lease.to_string()}));
    }

    /// Forgets all revisions before this one, unless somebody else has seen to it.
    pub(crate) fn compact(&self, revision: i64) {
        let path = "/v3/kv/compaction";
        let body = json!({"revision": revision.to_string(), "physical": true});
        match self.send(path, &body) {
            Err(error) if !error.contains("has been compacted") => panic!("{path}: {error}"),
            _ => {}
        }
    }

    /// What was stored under a key at a revision, or what etcd says in its place.
    pub(crate) fn value_at(&self, key: &str, revision: i64) -> Result<Vec<u8>, String> {
        let body = json!({"key": b64(key), "revision": revision.to_string()});
        let answer = self.ask("/v3/kv/range", &body)?;
        let value = answer["kvs"][0]["value"].as_str().unwrap_or_default();
        Ok(BASE64_STANDARD.decode(value).unwrap())
    }

    /// Gives the space of forgotten revisions back to the file system.
    pub(crate) fn defragment(&self) {
        self.post("/v3/maintenance/defragment", &json!({}));
    }

    /// What its data take in its file, in bytes, when all that was written shows: etcd commits every
    /// 100 ms, and looks are 10 ms apart.
    pub(crate) fn size_in_use(&self) -> u64 {
        let (mut last, mut same) = (0, 0);
        eventually("the size of the database holds", || {
            let status = self.post("/v3/maintenance/status", &json!({}));
            let size: u64 = status["dbSizeInUse"].as_str().unwrap().parse().unwrap();
            same = if size == last { same + 1 } else { 0 };
            last = size;
            (same >= 20).then_some(size)
        })
    }

    /// Raises the NOSPACE alarm for this member.
    pub(crate) fn alarm(&self) {
        let alarm = json!({"action": "ACTIVATE", "memberID": self.ids().0, "alarm": "NOSPACE"});
        self.post("/v3/maintenance/alarm", &alarm);
    }

    /// Ends the NOSPACE alarm.
    pub(crate) fn disarm(&self) {
        let path = "/v3/maintenance/alarm";
        let raised = self.post(path, &json!({"action": "GET"}));
        for alarm in raised["alarms"].as_array().map_or(&[][..], Vec::as_slice) {
            let member = &alarm["memberID"];
            self.post(
                path,
                &json!({"action": "DEACTIVATE", "memberID": member, "alarm": "NOSPACE"}),
            );
        }
    }

    /// The ids of this member and of the leader.
    pub(super) fn ids(&self) -> (String, String) {
        let status = self.post("/v3/maintenance/status", &json!({}));
        let id = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        (id(&status["header"]["member_id"]), id(&status["leader"]))
    }

    /// Makes another member the leader; must be asked of the leader.
    pub(super) fn hand_over(&self, member: &str) {
        let path = "/v3/maintenance/transfer-leadership";
        self.post(path, &json!({"targetID": member}));
    }

    pub(super) fn gateway_answers(&self) -> bool {
        let any = json!({"key": b64("\0")});
        self.ask("/v3/kv/range", &any).is_ok()
    }

    /// Lets a learner with this peer URL join; etcd wants its members to have been well for 5 s.
    pub(super) fn add_learner(&self, peer_url: &str) {
        let body = json!({"peerURLs": [peer_url], "isLearner": true});
        eventually("etcd takes a learner", || {
            self.ask("/v3/cluster/member/add", &body).ok()
        });
    }

    /// Whether it answers, and as a learner.
    pub(super) fn is_learner(&self) -> bool {
        let answer = self.ask("/v3/maintenance/status", &json!({}));
        answer.is_ok_and(|status| status["isLearner"] == true)
    }

    /// Adds a user with the right `READ` or `READWRITE` on the keys from the first to before the
    /// second.
    pub(crate) fn add_user(&self, name: &str, password: &str, right: &str, range: [&str; 2]) {
        self.auth("user/add", &json!({"name": name, "password": password}));
        self.auth("role/add", &json!({"name": name}));
        self.permit(name, right, range);
        self.auth("user/grant", &json!({"user": name, "role": name}));
    }

    /// Gives a user that [`Self::add_user`] added one more right; without an end, on one key.
    pub(crate) fn permit(&self, name: &str, right: &str, range: [&str; 2]) {
        let [key, end] = range.map(b64);
        let right = json!({"permType": right, "key": key, "range_end": end});
        self.auth("role/grant", &json!({"name": name, "perm": right}));
    }

    /// Switches authentication on, with a `root`, as which everything here goes on.
    pub(crate) fn enable_auth(&self, root_password: &str) {
        let login = json!({"name": "root", "password": root_password});
        self.auth("user/add", &login);
        self.auth("role/add", &json!({"name": "root"}));
        self.auth("user/grant", &json!({"user": "root", "role": "root"}));
        self.auth("enable", &json!({}));
        let answer = self.auth("authenticate", &login);
        let token = answer["token"].as_str().unwrap();
        self.authorization
            .set(format!("Authorization: {token}\r\n"))
            .unwrap();
    }

    /// Gives a user a password, which ends the tokens it has.
    pub(crate) fn change_password(&self, user: &str, password: &str) {
        let body = json!({"name": user, "password": password});
        self.auth("user/changepw", &body);
    }

    fn auth(&self, call: &str, body: &Value) -> Value {
        self.post(&format!("/v3/auth/{call}"), body)
    }

    /// Asks the JSON gateway; an error fails the test.
    fn post(&self, path: &str, body: &Value) -> Value {
        let answer = self.send(path, body);
        answer.unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    /// Asks it, and again where it could not pass the question on.
    fn send(&self, path: &str, body: &Value) -> Result<Value, String> {
        eventually("the JSON gateway is connected", || {
            let answer = self.ask(path, body);
            let unsent = |said: &String| said.contains("write tcp") && said.contains("broken pipe");
            (!answer.as_ref().is_err_and(unsent)).then_some(answer)
        })
    }

    fn ask(&self, path: &str, body: &Value) -> Result<Value, String> {
        let header = self.authorization.get().map_or("", String::as_str);
        let body = body.to_string();
        let length = body.len();
        let answer = http(
            self.ports.gateway,
            &format!(
                "POST {path} HTTP/1.0\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n{header}\r\n{body}"
            ),
        );
        let answer = answer.map_err(|error| error.to_string())?;
        match answer.split_once("\r\n\r\n") {
            Some((head, body)) if head.lines().next().unwrap().ends_with("200 OK") => {
                Ok(serde_json::from_str(body).unwrap())
            }
            _ => Err(answer),
        }
    }
}

/// What is stored under a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stored {
    pub(crate) key: String,
    pub(crate) value: Vec<u8>,
    /// Of the newest write.
    pub(crate) revision: i64,
    /// How often it was written since it was created; kine does not tell.
    pub(crate) version: i64,
    /// 0 where there is none.
    pub(crate) lease: i64,
}

/// All that an etcd holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Everything {
    pub(crate) keys: Vec<Stored>,
    pub(crate) leases: Vec<i64>,
}

fn b64(bytes: impl AsRef<[u8]>) -> String {
    BASE64_STANDARD.encode(bytes)
}

/// The gateway writes 64-bit numbers as text and leaves zeros out.
fn number(value: &Value) -> i64 {
    value.as_str().map_or(0, |text| text.parse().unwrap())
}
