//! The configuration file: what is read is printed as a file that gives the same again.
#![no_main]

use broadtape::node::config::settings::Command;
use broadtape::node::config::{Config, Flags};
use broadtape_fuzz::file;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((choice, data)) = data.split_first() else { return };
    let command = [Command::Serve, Command::Replay, Command::Record][usize::from(*choice) % 3];
    let load = |text: &[u8]| {
        Config::load(command, Flags::new(), Vec::new(), Some(&file("broadtape.toml", text)))
    };
    match load(data) {
        Ok(config) => {
            let printed = config.to_toml();
            match load(printed.as_bytes()) {
                Ok(again) => assert_eq!(values(&again.to_toml()), values(&printed)),
                Err(error) => panic!("{error}\n{printed}"),
            }
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});

/// A printed configuration without where its values came from.
fn values(printed: &str) -> Vec<&str> {
    let value = |line| str::rsplit_once(line, " # ").map_or(line, |(value, _)| value.trim_end());
    printed.lines().map(value).collect()
}
