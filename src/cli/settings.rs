//! The table of settings as clap arguments: what was typed for them, not yet what it means.

use std::marker::PhantomData;
use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgMatches, Args, Command, Error, FromArgMatches};

use crate::node::config::settings::{self, Form, Setting};
use crate::node::config::{Config, ConfigError, Flags};

/// A command that is configured by settings.
pub(super) trait Configured {
    /// Which one.
    const COMMAND: settings::Command;
}

/// The arguments of a configured command, as typed.
pub(super) struct Typed<C> {
    flags: Flags,
    file: Option<PathBuf>,
    pub(super) print_config: bool,
    command: PhantomData<C>,
}

impl<C: Configured> Typed<C> {
    /// The configuration that follows from them, the environment and the file.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub(super) fn load(self) -> Result<Config, ConfigError> {
        let environment = std::env::vars_os().filter_map(|(name, value)| {
            Some((name.into_string().ok()?, value.to_string_lossy().into_owned()))
        });
        Config::load(C::COMMAND, self.flags, environment, self.file.as_deref())
    }
}

impl<C: Configured> Args for Typed<C> {
    fn augment_args(command: Command) -> Command {
        let command = command
            .arg(
                Arg::new("config")
                    .long("config")
                    .value_name("FILE")
                    .env("BROADTAPE_CONFIG")
                    .hide_env_values(true)
                    .value_parser(clap::value_parser!(PathBuf))
                    .help("Take settings from this TOML file"),
            )
            .arg(
                Arg::new("print-config")
                    .long("print-config")
                    .action(ArgAction::SetTrue)
                    .help("Print the effective settings and where each came from, and leave"),
            );
        let argument = |setting| argument(setting, C::COMMAND);
        C::COMMAND.settings().fold(command, |command, setting| command.arg(argument(setting)))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl<C: Configured> FromArgMatches for Typed<C> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let given = |setting: &'static Setting| {
            let values = matches.get_many::<String>(setting.key)?;
            Some((setting.key, values.cloned().collect()))
        };
        Ok(Self {
            flags: C::COMMAND.settings().filter_map(given).collect(),
            file: matches.get_one("config").cloned(),
            print_config: matches.get_flag("print-config"),
            command: PhantomData,
        })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

fn argument(setting: &'static Setting, command: settings::Command) -> Arg {
    let default = match setting.default {
        "" => String::new(),
        default => format!(" [default: {default}]"),
    };
    let arg =
        Arg::new(setting.key).value_name(setting.value).help(format!("{}{default}", setting.help));
    if setting.key == settings::FILES {
        return arg.num_args(0..).action(ArgAction::Append);
    }
    if setting.key == settings::RECORD && command == settings::Command::Record {
        return arg.value_name("DIR").help("Folder of the tape; what is in it is gone on with");
    }
    let arg = arg.long(setting.flag()).help_heading(setting.group.heading());
    match setting.form {
        Form::List => arg.action(ArgAction::Append),
        Form::Switch => arg.num_args(0..=1).require_equals(true).default_missing_value("true"),
        Form::Text | Form::Number => arg.allow_hyphen_values(true),
    }
}
