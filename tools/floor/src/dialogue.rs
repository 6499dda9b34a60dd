//! The least of broadtape's protocol that its clients insist on: a welcome, and an answer to each
//! request.

use serde_json::{Value, json};

use crate::framer::EPOCH;

/// What a connection has been sent, as the answer tells it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    /// Records that went out.
    pub records: u64,
    /// Records that its socket did not take.
    pub dropped: u64,
}

/// What to say to a request.
#[derive(Debug)]
pub struct Answer {
    /// The text.
    pub text: String,
    /// From here on records are due.
    pub subscribed: bool,
}

/// The first message.
pub fn welcome() -> String {
    let limits = json!({"message_max": "65536", "message_rate": 1000, "message_burst": 1000,
        "symbols_per_request": 1024, "subscriptions": 1, "queue": "0"});
    json!({"type": "welcome", "version": 1, "session": "1", "epoch": EPOCH.to_string(),
        "seq": "0", "server_time": "0", "encoding": "dbn", "heartbeat_ms": 0, "limits": limits})
    .to_string()
}

/// Answers a request; `seq` is the position behind which records follow.
///
/// # Errors
/// What can't be read of it.
pub fn answer(request: &[u8], seq: u64, counts: Counts) -> Result<Answer, String> {
    let request: Value = serde_json::from_slice(request).map_err(|e| format!("a request: {e}"))?;
    let method = request["method"].as_str().unwrap_or_default();
    let subscribed = method == "subscribe";
    let result = match method {
        "subscribe" => json!({"subscription": 1, "epoch": EPOCH.to_string(),
            "seq": seq.to_string(), "count": 1, "rejected": []}),
        "subscriptions" => json!({"subscriptions": [{"subscription": 1, "symbols": "*",
            "schema": ["trades"], "records": counts.records.to_string(), "conflated": "0",
            "dropped": counts.dropped.to_string(), "count": 1}]}),
        "ping" => json!({"time_in": "0", "time_out": "0", "data": request["params"]["data"]}),
        _ => Value::Null,
    };
    let mut answer = json!({"id": request["id"], "method": method, "success": !result.is_null(),
        "time_in": "0", "time_out": "0"});
    if result.is_null() {
        answer["error"] = json!({"code": 400, "reason": "unknown_method",
            "message": "the floor knows subscribe, subscriptions and ping"});
    } else {
        answer["result"] = result;
    }
    Ok(Answer { text: answer.to_string(), subscribed })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(request: &str) -> (Value, bool) {
        let counts = Counts { records: 7, dropped: 2 };
        let answer = answer(request.as_bytes(), 5, counts).unwrap();
        (serde_json::from_str(&answer.text).unwrap(), answer.subscribed)
    }

    #[test]
    fn each_request_is_answered_with_its_id() {
        let (answer, subscribed) = ask(r#"{"id":3,"method":"subscribe","params":{}}"#);
        assert_eq!((&answer["id"], &answer["result"]["seq"]), (&3.into(), &"5".into()));
        assert!(subscribed);
        let (answer, subscribed) = ask(r#"{"id":"x","method":"subscriptions"}"#);
        let counts = &answer["result"]["subscriptions"][0];
        assert_eq!((&counts["records"], &counts["dropped"]), (&"7".into(), &"2".into()));
        assert!(!subscribed);
    }

    #[test]
    fn what_it_does_not_know_is_refused() {
        let (answer, subscribed) = ask(r#"{"id":1,"method":"dance"}"#);
        assert_eq!((&answer["success"], subscribed), (&false.into(), false));
        assert!(super::answer(b"{", 0, Counts::default()).unwrap_err().contains("a request"));
    }
}
