//! The io_uring write engine: all sends of a call in one system call.
//!
//! Every send is submitted with `MSG_DONTWAIT`, so that it completes, or fails with `EAGAIN`, while
//! it is submitted: io_uring serves as a batched non-blocking system call. Only the last send of a
//! call and those that fail say so in the completion queue; with `MSG_WAITALL` a short one counts
//! as failed. Sockets are registered under the numbers of their descriptors, which spares the
//! kernel looking them up and counting a use for each send. Invariant: when [`Engine::write`]
//! returns, the kernel uses none of its buffers. This is the only file with `unsafe` code.
#![allow(unsafe_code, reason = "submissions name buffers by address")]

use std::io;
use std::os::fd::{AsRawFd, RawFd};

use io_uring::squeue::{Entry, Flags};
use io_uring::{IoUring, opcode, types};
use mio::net::TcpStream;
use rustix::net::SendFlags;
use rustix::process::{Resource, getrlimit};

use super::write::{Engine, Readiness, Write, send};
use crate::limits::{REGISTERED_MAX, WRITES_PER_CALL};

/// Takes a descriptor's place: nothing is registered there.
const NOTHING: RawFd = -1;
/// `MSG_WAITALL`: a short send counts as failed.
const WAIT_ALL: i32 = 0x100;

/// One submission for each write, one system call for all.
pub struct Uring {
    /// None once the kernel has refused a submission: then each write is a call of its own.
    ring: Option<IoUring>,
    /// Which descriptors are registered, each in the place of its number.
    registered: Vec<bool>,
}

impl Uring {
    /// An engine, where this kernel has what it takes. To be made on the thread that will use it.
    ///
    /// # Errors
    /// What the kernel says: it is too old, or io_uring is forbidden here.
    pub fn new() -> io::Result<Self> {
        let ring = IoUring::builder()
            .setup_single_issuer()
            .setup_defer_taskrun()
            .build(WRITES_PER_CALL as u32)?;
        let mut probe = io_uring::Probe::new();
        ring.submitter().register_probe(&mut probe)?;
        if !probe.is_supported(opcode::Send::CODE)
            || !ring.params().is_feature_skip_cqe_on_success()
        {
            return Err(io::Error::new(io::ErrorKind::Unsupported, "this io_uring cannot send"));
        }
        let places = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX).min(REGISTERED_MAX);
        // A kernel without room for them sends by descriptor.
        let granted = ring.submitter().register_files_sparse(places as u32).is_ok();
        Ok(Self {
            ring: Some(ring),
            registered: vec![false; if granted { places as usize } else { 0 }],
        })
    }

    /// Registers `file` in a descriptor's place. Did the kernel take it?
    fn register(&mut self, place: RawFd, file: RawFd) -> bool {
        let Some(ring) = &self.ring else { return false };
        ring.submitter().register_files_update(place as u32, &[file]).is_ok()
    }

    /// The place of a socket's descriptor, where there is one.
    fn place(&mut self, socket: &TcpStream) -> Option<&mut bool> {
        usize::try_from(socket.as_raw_fd()).ok().and_then(|fd| self.registered.get_mut(fd))
    }
}

impl Engine for Uring {
    fn write(&mut self, writes: &mut [Write<'_>]) {
        for batch in writes.chunks_mut(WRITES_PER_CALL) {
            let done = match &mut self.ring {
                Some(ring) => submit(ring, &self.registered, batch),
                None => {
                    Readiness.write(batch);
                    Ok(())
                }
            };
            if done.is_err() {
                self.ring = None;
                self.registered.fill(false);
            }
        }
    }

    fn hold(&mut self, socket: &TcpStream) {
        if self.place(socket).is_some() {
            let taken = self.register(socket.as_raw_fd(), socket.as_raw_fd());
            self.place(socket).into_iter().for_each(|place| *place = taken);
        }
    }

    fn let_go(&mut self, socket: &TcpStream) {
        if self.place(socket).is_some_and(std::mem::take) {
            self.register(socket.as_raw_fd(), NOTHING);
        }
    }
}

/// Submits the writes of one buffer, and makes those of several, which are rare, one by one.
///
/// # Errors
/// The kernel takes no submissions any more. A write whose result is unknown then is a broken one.
fn submit(ring: &mut IoUring, registered: &[bool], writes: &mut [Write<'_>]) -> io::Result<()> {
    let Some(last) = writes.iter().rposition(|write| write.parts.len() == 1) else {
        Readiness.write(writes);
        return Ok(());
    };
    for (at, write) in writes.iter_mut().enumerate() {
        let [part] = write.parts else {
            write.taken = send(write.socket, write.parts);
            continue;
        };
        let entry = entry(write.socket.as_raw_fd(), registered, part, at == last);
        // What is not heard of has been sent; the last is always heard of.
        write.taken = match at == last {
            true => Err(broken()),
            false => Ok(part.len()),
        };
        // SAFETY: socket and buffer are borrowed by `writes`, which outlives this call, and every
        // entry has completed before it returns: `collect` sees to that.
        let pushed = unsafe { ring.submission().push(&entry.user_data(at as u64)) };
        if pushed.is_err() {
            // The queue holds as many as one call may bring: this does not happen.
            writes.iter_mut().for_each(|write| write.taken = Err(broken()));
            return Err(io::ErrorKind::StorageFull.into());
        }
    }
    collect(ring, writes, last)
}

/// One send.
fn entry(fd: RawFd, registered: &[bool], part: &[u8], last: bool) -> Entry {
    let (from, len) = (part.as_ptr(), part.len() as u32);
    let send = match registered.get(fd as usize) {
        Some(true) => opcode::Send::new(types::Fixed(fd as u32), from, len),
        _ => opcode::Send::new(types::Fd(fd), from, len),
    };
    let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
    match last {
        true => send.flags(flags.bits() as i32).build(),
        false => send.flags(flags.bits() as i32 | WAIT_ALL).build().flags(Flags::SKIP_SUCCESS),
    }
}

/// Enters the kernel until every submission has completed: they do so in their order, each while it
/// is submitted, so all have when the last has.
fn collect(ring: &mut IoUring, writes: &mut [Write<'_>], last: usize) -> io::Result<()> {
    let mut waiting = true;
    while waiting {
        let entered = ring.submit_and_wait(1);
        for completion in ring.completion() {
            let at = completion.user_data() as usize;
            waiting &= at != last;
            writes[at].taken = match completion.result() {
                error if error < 0 => Err(io::Error::from_raw_os_error(-error)),
                taken => Ok(taken as usize),
            };
        }
        match entered {
            Err(error) if is_passing(&error) => {}
            Err(error) => {
                // What was not submitted was not sent.
                let left = ring.submission().len();
                let single = writes.iter_mut().filter(|write| write.parts.len() == 1);
                single.rev().take(left).for_each(|write| write.taken = Err(broken()));
                return Err(error);
            }
            Ok(_) => {}
        }
    }
    Ok(())
}

fn broken() -> io::Error {
    io::ErrorKind::BrokenPipe.into()
}

/// Is it worth entering again?
fn is_passing(error: &io::Error) -> bool {
    use io::ErrorKind::{Interrupted, ResourceBusy, WouldBlock};
    matches!(error.kind(), Interrupted | ResourceBusy | WouldBlock)
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::net::{TcpListener, TcpStream};
    use std::slice;

    use super::*;

    /// Both ends of a connection, ours not blocking.
    fn pair() -> (mio::net::TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let theirs = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (ours, _) = listener.accept().unwrap();
        ours.set_nonblocking(true).unwrap();
        (mio::net::TcpStream::from_std(ours), theirs)
    }

    /// The engine, where the kernel has it.
    fn engine() -> Option<Uring> {
        Uring::new().inspect_err(|error| println!("skipped: no io_uring: {error}")).ok()
    }

    #[test]
    fn each_socket_gets_its_own_bytes() {
        let Some(mut engine) = engine() else { return };
        let pairs: Vec<_> = (0..3 * WRITES_PER_CALL).map(|_| pair()).collect();
        let texts: Vec<String> = (0..pairs.len()).map(|n| format!("number {n}")).collect();
        let halves: Vec<_> =
            texts.iter().map(|text| <[&[u8]; 2]>::from(text.as_bytes().split_at(3))).collect();
        let whole: Vec<&[u8]> = texts.iter().map(String::as_bytes).collect();
        let mut writes: Vec<_> = pairs
            .iter()
            .enumerate()
            .map(|(n, (ours, _))| match n % 2 {
                0 => Write::new(ours, slice::from_ref(&whole[n])),
                _ => Write::new(ours, &halves[n]),
            })
            .collect();
        engine.write(&mut writes);
        for ((write, text), (_, theirs)) in writes.iter().zip(&texts).zip(&pairs) {
            assert_eq!(write.taken.as_ref().unwrap(), &text.len());
            let mut got = vec![0; text.len()];
            (&*theirs).read_exact(&mut got).unwrap();
            assert_eq!(got, text.as_bytes());
        }
    }

    #[test]
    fn a_full_socket_takes_a_part_then_nothing_and_delays_nobody() {
        let Some(mut engine) = engine() else { return };
        let ((full, _unread), (free, _)) = (pair(), pair());
        let large = vec![7; 32 << 20];
        let (parts, small): ([&[u8]; 1], [&[u8]; 1]) = ([&large], [b"x"]);
        let mut writes = [Write::new(&full, &parts), Write::new(&free, &small)];
        engine.write(&mut writes);
        assert!(writes[0].taken.as_ref().is_ok_and(|taken| *taken < large.len()));
        assert_eq!(writes[1].taken.as_ref().unwrap(), &1);
        let mut refused = false;
        for _ in 0..100 {
            let mut again = [Write::new(&full, &parts)];
            engine.write(&mut again);
            let kind = again[0].taken.as_ref().map_err(io::Error::kind);
            refused |= kind.is_err_and(|kind| kind == io::ErrorKind::WouldBlock);
        }
        assert!(refused);
    }

    #[test]
    fn a_registered_socket_is_written_to_and_closed_when_it_is_let_go() {
        let Some(mut engine) = engine() else { return };
        let pairs: Vec<_> = (0..3).map(|_| pair()).collect();
        pairs.iter().take(2).for_each(|(ours, _)| engine.hold(ours));
        assert!(pairs.iter().take(2).all(|(ours, _)| engine.place(ours).is_some_and(|held| *held)));
        let parts: [&[u8]; 1] = [b"x"];
        let mut writes: Vec<_> = pairs.iter().map(|(ours, _)| Write::new(ours, &parts)).collect();
        engine.write(&mut writes);
        assert!(writes.iter().all(|write| write.taken.as_ref().is_ok_and(|taken| *taken == 1)));
        for (ours, mut theirs) in pairs {
            engine.let_go(&ours);
            drop(ours);
            let mut got = Vec::new();
            theirs.read_to_end(&mut got).unwrap();
            assert_eq!(got, b"x");
        }
    }

    #[test]
    fn every_short_write_of_a_call_is_told() {
        let Some(mut engine) = engine() else { return };
        let pairs: Vec<_> = (0..4).map(|_| pair()).collect();
        pairs.iter().for_each(|(ours, _)| engine.hold(ours));
        let large = vec![7; 32 << 20];
        let (parts, small): ([&[u8]; 1], [&[u8]; 1]) = ([&large], [b"x"]);
        let mut writes: Vec<_> = pairs
            .iter()
            .zip([&parts, &small, &parts, &small])
            .map(|((ours, _), parts)| Write::new(ours, &parts[..]))
            .collect();
        engine.write(&mut writes);
        let taken: Vec<_> = writes.iter().map(|write| *write.taken.as_ref().unwrap()).collect();
        assert!(taken[0] > 0 && taken[0] < large.len() && taken[2] > 0 && taken[2] < large.len());
        assert_eq!((taken[1], taken[3]), (1, 1));
        let mut again: Vec<_> = pairs.iter().map(|(ours, _)| Write::new(ours, &parts)).collect();
        (0..100).for_each(|_| engine.write(&mut again));
        let kinds = again.iter().map(|write| write.taken.as_ref().map_err(io::Error::kind));
        assert!(kinds.into_iter().all(|kind| kind == Err(io::ErrorKind::WouldBlock)));
    }

    #[test]
    fn a_broken_connection_is_an_error_of_its_own() {
        let Some(mut engine) = engine() else { return };
        let ((broken, theirs), (whole, _rest)) = (pair(), pair());
        socket2::SockRef::from(&theirs).set_linger(Some(std::time::Duration::ZERO)).unwrap();
        drop(theirs);
        let mut failed = false;
        for _ in 0..3 {
            let mut writes = [Write::new(&broken, &[b"x"]), Write::new(&whole, &[b"x"])];
            engine.write(&mut writes);
            failed |= writes[0].taken.is_err();
            assert_eq!(writes[1].taken.as_ref().unwrap(), &1);
        }
        assert!(failed);
    }
}
