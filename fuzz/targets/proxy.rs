//! The headers by which a proxy says for whom it connects: read as they come, never beyond an end.
#![no_main]

use broadtape::gate::proxied::{Step, read};
use broadtape::limits::PROXY_HEADER_MAX;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut have = 0;
    loop {
        match read(&data[..have]) {
            Ok(Step::More(0)) => panic!("nothing more is not more"),
            Ok(Step::More(more)) if have + more > data.len() => break,
            Ok(Step::More(more)) => have += more,
            Ok(Step::Whole(_)) | Err(_) => break,
        }
        assert!(have <= PROXY_HEADER_MAX, "{have} bytes");
    }
    // Whatever more had come, the verdict on what came byte by byte is the same.
    let steps: Vec<_> = (0..=have).map(|end| read(&data[..end])).collect();
    let decided = steps.iter().position(|step| !matches!(step, Ok(Step::More(_))));
    assert!(decided.is_none_or(|at| steps[at] == steps[have] || steps[at].is_err()));
});
