//! Delayed connections: each is served as one that catches up for ever. It reads the ring, or the
//! tape behind it, up to the last record that is old enough, waits, and reads on; it never joins an
//! audience, and no state of the present reaches it.

use std::time::Duration;

use bytes::Bytes;

use crate::clock::UnixNanos;
use crate::limits::DELAY_LOOK;
use crate::shard::Shard;
use crate::shard::connection::{Connection, Phase};
use crate::shard::joining::Joining;
use crate::socket::write::Engine;
use crate::wire::error::{ControlError, ErrorCode};
use crate::wire::message;
use crate::wire::position::{Position, Start};
use crate::wire::subscribe::Subscribe;

impl Connection {
    /// Its delayed way through the stream, where it is on one.
    pub(super) fn delayed(&mut self) -> Option<&mut Joining> {
        match &mut self.phase {
            Phase::Joining(joining) if !joining.delay.is_zero() => Some(joining),
            _ => None,
        }
    }

    /// Is it on a delayed way?
    pub(super) fn is_delayed(&self) -> bool {
        matches!(&self.phase, Phase::Joining(joining) if !joining.delay.is_zero())
    }
}

impl<E: Engine> Shard<E> {
    /// Where delivery to a connection is to start, if not with the next record: where it asks, or,
    /// where it is delayed and not on its way yet, with what is just old enough.
    pub(super) fn wanted_start(&self, token: u32, wishes: &[Subscribe]) -> Option<Start> {
        let asked = wishes.first().and_then(|wish| wish.start);
        let connection = &self.connections[token as usize];
        let rights = connection.rights().filter(|rights| !rights.delay.is_zero());
        let implied = rights.filter(|_| !connection.is_delayed());
        asked.or_else(|| implied.map(|rights| Start::At(rights.until(self.now.unix))))
    }

    /// What a delayed connection is told where nothing holds records that are old enough.
    pub(super) fn out_of_reach(&self, delay: Duration) -> ControlError {
        let words = format!(
            "records come {} s late here, and neither the ring nor a tape reaches back so far: \
             the server has to record",
            delay.as_secs()
        );
        ControlError::new(ErrorCode::WrongState, words)
    }

    /// Up to where in the ring records are old enough; none where the ring has none that is.
    pub(super) fn aged(&self, delay: Duration) -> Option<u64> {
        let reader = self.ring.reader_at_time(self.old_enough(delay) + 1).ok()?;
        Some(reader.position().min(self.reader.position()))
    }

    /// Nothing that was published after this is old enough, ns.
    pub(super) fn old_enough(&self, delay: Duration) -> UnixNanos {
        self.now.unix.saturating_sub(delay.as_nanos() as u64)
    }

    /// A delayed connection has all that is old enough: it rests for a moment.
    pub(super) fn rest(&mut self, token: u32) {
        let (epoch, look) = (self.epoch, self.now.mono + DELAY_LOOK);
        let connection = &mut self.connections[token as usize];
        let Some(joining) = connection.delayed() else { return };
        joining.look = Some(look);
        if std::mem::take(&mut joining.resumed) {
            let at = Position { epoch, seq: joining.course.seq() };
            let records = joining.records;
            self.tell(token, |out| message::Live { at, records }.write(out));
        }
    }

    /// Tells a delayed connection the news that stand behind records which it has by now.
    pub(super) fn tell_delayed(&mut self, token: u32) {
        let Some(joining) = self.connections[token as usize].delayed() else { return };
        let seq = joining.course.seq();
        let due: Vec<Bytes> =
            joining.news.extract_if(.., |(after, _)| *after <= seq).map(|(_, news)| news).collect();
        if !due.is_empty() {
            let backlog = &mut self.connections[token as usize].backlog;
            due.into_iter().for_each(|news| backlog.push_note(news));
            self.heat(token);
        }
    }

    /// A connection that has left its audience goes on with what it still asks for.
    pub(super) fn rejoin(&mut self, token: u32) {
        let connection = &mut self.connections[token as usize];
        if let Phase::Joining(joining) = &mut connection.phase {
            if !connection.subscriptions.is_empty() {
                return;
            }
            let news = std::mem::take(&mut joining.news);
            news.into_iter().for_each(|(_, news)| connection.backlog.push_note(news));
            self.drop_images(token);
            self.joining.retain(|joining| *joining != token);
        }
        let Self { connections, audiences, .. } = self;
        connections[token as usize].join(token, audiences, false);
        self.note_behind(token);
    }
}
