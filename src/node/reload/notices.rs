//! What shards have to learn of files that were read again.

use std::sync::Arc;

use crate::shard::command::{Command, Denied, Mailbox};
use crate::wire::grant::Standing;

/// What all shards have to learn of.
#[derive(Clone)]
pub(super) enum Notice {
    Standing(Arc<Standing>),
    Denied(Denied),
}

impl Notice {
    fn command(&self) -> Command {
        match self.clone() {
            Self::Standing(standing) => Command::Review(standing),
            Self::Denied(denied) => Command::Expel(denied),
        }
    }
}

/// What shards have yet to learn of: one whose queue is full has to all the same.
#[derive(Default)]
pub(super) struct Notices(Vec<(Mailbox, Notice)>);

impl Notices {
    /// What was owed of the same kind is out of date.
    pub(super) fn owe(&mut self, shards: &[Mailbox], notice: &Notice) {
        let same = |other: &Notice| std::mem::discriminant(other) == std::mem::discriminant(notice);
        self.0.retain(|(_, other)| !same(other));
        self.0.extend(shards.iter().map(|shard| (shard.clone(), notice.clone())));
    }

    pub(super) fn send(&mut self) {
        self.0.retain(|(shard, notice)| shard.send(notice.command()).is_err());
        if !self.0.is_empty() {
            tracing::error!(notices = self.0.len(), "full queues: revocations wait");
        }
    }
}
