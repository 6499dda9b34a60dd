//! What clients ask for: a request, or a refusal that is short and names the request.
#![no_main]

use broadtape::limits::ClientLimits;
use broadtape::wire::request::parse;
use libfuzzer_sys::fuzz_target;

/// More than any words about a request have.
const WORDS: usize = 1000;

fuzz_target!(|text: &str| {
    match parse(text, &ClientLimits::default()) {
        Ok(request) => {
            let known: serde_json::Value = serde_json::from_str(text).expect("JSON of others too");
            assert_eq!(known["method"], request.method.name());
        }
        Err(refused) => assert!(refused.error.message.len() < WORDS, "{refused}"),
    }
});
