//! The gates of a server: everybody's, and the operator's.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};

use rustix::process::{Resource, getrlimit};
use tokio::sync::Notify;

use super::admin::Admin;
use super::options::Options;
use super::reload::{self, Readers};
use super::server::ServerError;
use super::status::Running;
use crate::gate::auth::Authority;
use crate::gate::{AdmissionRules, Door, DoorRules, Gate, Names};
use crate::limits::{DESCRIPTORS_RESERVED, OPERATORS_MAX};

/// The gates of a server.
pub(super) struct Gates {
    /// Everybody's.
    pub(super) public: Arc<Gate<Running>>,
    /// The operator's, where it has a listener.
    pub(super) admin: Option<Arc<Gate<Admin>>>,
    /// Who reads again what its doors and its authority know.
    pub(super) readers: Readers,
}

impl Gates {
    /// Those that the options ask for. What the operator orders is told to `orders`.
    ///
    /// # Errors
    /// [`ServerError::Deny`]: the file of networks that may not connect.
    pub(super) fn new(
        options: &Options,
        running: &Running,
        authority: Option<Arc<Authority>>,
        orders: &Arc<Notify>,
    ) -> Result<Self, ServerError> {
        let door = Door::new(options.door.clone(), room(), running.security.clone());
        let public = Gate {
            shards: running.shards.clone(),
            authority: authority.clone().filter(|_| options.auth.required),
            tls: running.tls.clone(),
            echo: options.enable_echo,
            refusing: running.memory.refusing.clone(),
            ..bare(options, running, door, running.clone())
        };
        let admin = admin(options, running, authority.clone(), orders).map(Arc::new);
        let mut doors = vec![public.door.clone()];
        doors.extend(admin.iter().filter(|_| options.admin_is_exposed()).map(|a| a.door.clone()));
        reload::deny(&options.deny_file, &doors).map_err(ServerError::Deny)?;
        let (tls, shards) = (running.tls.clone(), running.shards.clone());
        let readers = Readers { authority, tls, doors, shards };
        Ok(Self { public: Arc::new(public), admin, readers })
    }
}

/// The gate of the operator's listener: it has no shards, and so no streams. On loopback whoever
/// reaches it is the operator, and it has no limits but one; beyond, it has those of everybody's,
/// the same encryption, and the operator shows a token.
fn admin(
    options: &Options,
    running: &Running,
    authority: Option<Arc<Authority>>,
    orders: &Arc<Notify>,
) -> Option<Gate<Admin>> {
    options.admin_listen?;
    let exposed = options.admin_is_exposed();
    let rules = match exposed {
        true => {
            let DoorRules { admission, .. } = options.door.clone();
            let admission = AdmissionRules { connections: None, ..admission };
            DoorRules { admission, ..options.door.clone() }
        }
        false => DoorRules::of_sites(options.door.sites.clone()),
    };
    let door = Door::new(rules, OPERATORS_MAX, running.security.clone());
    let pages = Admin { running: running.clone(), drain: orders.clone() };
    Some(Gate {
        authority: authority.filter(|_| exposed),
        tls: running.tls.clone().filter(|_| exposed),
        ..bare(options, running, door, pages)
    })
}

/// A gate that leads to no shards.
fn bare<P>(options: &Options, running: &Running, door: Door, pages: P) -> Gate<P> {
    Gate {
        shards: Vec::new(),
        door: Arc::new(door),
        pages,
        tls: None,
        handshake: options.handshake,
        authority: None,
        echo: false,
        draining: AtomicBool::new(false),
        refusing: Arc::default(),
        sessions: AtomicU64::new(0),
        names: Names::default(),
        waiting: Arc::default(),
        refusals: running.refusals.clone(),
    }
}

/// Connections that there are descriptors for.
fn room() -> usize {
    let descriptors = getrlimit(Resource::Nofile).current.map_or(usize::MAX, |n| n as usize);
    descriptors.saturating_sub(DESCRIPTORS_RESERVED).max(descriptors / 2)
}
