//! What fal.ai signs, and how it is verified (fal.ai documentation, "Webhooks": ED25519 over request
//! id, user id, timestamp and the digest of the body, lines of one text).

use ring::signature::{ED25519, UnparsedPublicKey};
use sha2::{Digest as _, Sha256};

/// How far the sender's clock and ours may be apart, in seconds; an older one is a replay.
const APART_MAX: i64 = 300;

/// A public key, as in fal.ai's JWKS.
pub(super) type PublicKey = [u8; 32];

/// The four headers of a webhook.
#[derive(Clone, Copy, Debug)]
pub(super) struct Signed<'h> {
    pub(super) request_id: &'h str,
    pub(super) user_id: &'h str,
    /// Seconds of the epoch.
    pub(super) timestamp: &'h str,
    /// In hexadecimal digits.
    pub(super) signature: &'h str,
}

impl Signed<'_> {
    /// Whether it was signed just now.
    pub(super) fn is_fresh(&self, now_s: i64) -> bool {
        let at: Result<i64, _> = self.timestamp.parse();
        at.is_ok_and(|at| now_s.saturating_sub(at).saturating_abs() <= APART_MAX)
    }

    /// Whether one of these keys signed it, with this body.
    pub(super) fn is_by_any(&self, keys: &[PublicKey], body: &[u8]) -> bool {
        let Ok(signature) = hex::decode(self.signature) else { return false };
        let digest = hex::encode(Sha256::digest(body));
        let message = [self.request_id, self.user_id, self.timestamp, &digest].join("\n");
        let signed = |key: &PublicKey| {
            UnparsedPublicKey::new(&ED25519, key).verify(message.as_bytes(), &signature).is_ok()
        };
        keys.iter().any(signed)
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    use super::*;

    const ID: &str = "11111111-2222-3333-4444-555555555555";
    const BODY: &[u8] = br#"{"request_id":"11111111-2222-3333-4444-555555555555","gateway_request_id":"11111111-2222-3333-4444-555555555555","status":"OK","payload":{"images":[{"url":"http://127.0.0.1:9001/files/a.png"}]}}"#;
    const SIGNATURE: &str = "3bc0cac912b43bd7649cde20218c4b20e513fbe59dca7fe22584878162dcc00f\
                             b9c848b0fa5679c4bb96d06dbce70679a7c87fa7fe81182362a41659bd03e303";

    fn signed() -> Signed<'static> {
        let (timestamp, signature) = ("1760000000", SIGNATURE);
        Signed { request_id: ID, user_id: "sandbox-user", timestamp, signature }
    }

    fn key() -> PublicKey {
        let x = "A6EHv_POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg";
        URL_SAFE_NO_PAD.decode(x).unwrap().try_into().unwrap()
    }

    #[test]
    fn a_signature_is_verified_with_any_of_the_keys() {
        assert!(signed().is_by_any(&[key()], BODY));
        assert!(signed().is_by_any(&[[7; 32], key()], BODY));
        assert!(!signed().is_by_any(&[[7; 32]], BODY));
        assert!(!signed().is_by_any(&[], BODY));
    }

    #[test]
    fn whatever_is_changed_is_no_longer_signed() {
        let check = |changed: Signed<'_>, body: &[u8]| {
            assert!(!changed.is_by_any(&[key()], body), "{changed:?}");
        };
        check(signed(), b"{}");
        check(Signed { request_id: "1", ..signed() }, BODY);
        check(Signed { user_id: "another", ..signed() }, BODY);
        check(Signed { timestamp: "1760000001", ..signed() }, BODY);
        check(Signed { signature: "", ..signed() }, BODY);
        check(Signed { signature: "zz", ..signed() }, BODY);
        check(Signed { signature: &SIGNATURE.replace("3bc0", "3bc1"), ..signed() }, BODY);
    }

    #[test]
    fn what_is_five_minutes_off_is_not_fresh() {
        let check =
            |now: i64, expected: bool| assert_eq!(signed().is_fresh(now), expected, "{now}");
        check(1_760_000_000, true);
        check(1_760_000_300, true);
        check(1_759_999_700, true);
        check(1_760_000_301, false);
        check(1_759_999_699, false);
        assert!(!Signed { timestamp: "now", ..signed() }.is_fresh(1_760_000_000));
        assert!(!Signed { timestamp: "", ..signed() }.is_fresh(0));
    }
}
