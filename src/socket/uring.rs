//! The io_uring write engine: all sends of a call in one system call.
//!
//! Every send is submitted with `MSG_DONTWAIT`, so that it completes, or fails with `EAGAIN`, while
//! it is submitted: io_uring serves as a batched non-blocking system call. Invariant: when
//! [`Engine::write`] returns, the kernel uses none of its buffers. This is the only file with
//! `unsafe` code.
#![allow(unsafe_code, reason = "submissions name buffers by address")]

use std::io;
use std::os::fd::AsRawFd;

use io_uring::{IoUring, opcode, types};
use rustix::net::SendFlags;

use super::write::{Engine, Readiness, Write, send};
use crate::limits::WRITES_PER_CALL;

/// One submission for each write, one system call for all.
pub struct Uring {
    /// None once the kernel has refused a submission: then each write is a call of its own.
    ring: Option<IoUring>,
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
        if !probe.is_supported(opcode::Send::CODE) {
            return Err(io::Error::new(io::ErrorKind::Unsupported, "this io_uring cannot send"));
        }
        Ok(Self { ring: Some(ring) })
    }
}

impl Engine for Uring {
    fn write(&mut self, writes: &mut [Write<'_>]) {
        for batch in writes.chunks_mut(WRITES_PER_CALL) {
            let done = match &mut self.ring {
                Some(ring) => submit(ring, batch),
                None => {
                    Readiness.write(batch);
                    Ok(())
                }
            };
            if done.is_err() {
                self.ring = None;
            }
        }
    }
}

/// Submits the writes of one buffer, and makes those of several, which are rare, one by one.
///
/// # Errors
/// The kernel takes no submissions any more. A write whose result is unknown then is a broken one.
fn submit(ring: &mut IoUring, writes: &mut [Write<'_>]) -> io::Result<()> {
    let mut waiting = 0;
    for (at, write) in writes.iter_mut().enumerate() {
        let [part] = write.parts else {
            write.taken = send(write.socket, write.parts);
            continue;
        };
        let flags = (SendFlags::DONTWAIT | SendFlags::NOSIGNAL).bits() as i32;
        let entry = opcode::Send::new(
            types::Fd(write.socket.as_raw_fd()),
            part.as_ptr(),
            part.len() as u32,
        );
        let entry = entry.flags(flags).build().user_data(at as u64);
        // SAFETY: socket and buffer are borrowed by `writes`, which outlives this call, and every
        // entry has completed before it returns: `collect` sees to that.
        let pushed = unsafe { ring.submission().push(&entry) };
        match pushed {
            Ok(()) => {
                write.taken = Err(io::ErrorKind::BrokenPipe.into());
                waiting += 1;
            }
            // The queue holds as many as one call may bring; where it were full all the same, this
            // one is made by itself.
            Err(_) => write.taken = send(write.socket, write.parts),
        }
    }
    collect(ring, writes, waiting)
}

/// Enters the kernel until every submission has completed.
fn collect(ring: &mut IoUring, writes: &mut [Write<'_>], mut waiting: usize) -> io::Result<()> {
    while waiting > 0 {
        let entered = ring.submit_and_wait(waiting);
        for completion in ring.completion() {
            waiting -= 1;
            writes[completion.user_data() as usize].taken = match completion.result() {
                error if error < 0 => Err(io::Error::from_raw_os_error(-error)),
                taken => Ok(taken as usize),
            };
        }
        match entered {
            Err(error) if is_passing(&error) => {}
            Err(error) => return Err(error),
            Ok(_) => {}
        }
    }
    Ok(())
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
