//! The boundary between server and plugin: plain C, whatever compiler built
//! either side. Authors of plugins never meet it; [`declare_plugin!`] does.
//!
//! A plugin exports one symbol, `latchlight_plugin`, a [`Declaration`]. Its
//! first field is the number of the boundary, [`API`]; the server reads no
//! more of a plugin with another one, and calls nothing in it. Text crosses
//! as JSON in UTF-8: a [`Slice`] is lent for the time of the call, a
//! [`Buffer`] is given and goes back to the `free` of the side that made it.
//!
//! `API` grows when a struct of this page, or a JSON shape that crosses,
//! changes so that the other side would misread it. A new optional field of
//! an object, or a new request to the host, is no such change.
//!
//! [`declare_plugin!`]: crate::declare_plugin

mod exported;
mod outcome;
mod remote_host;

use std::ffi::c_void;
use std::mem::ManuallyDrop;

use serde::{Deserialize, Serialize};

use crate::ActionInfo;

pub use exported::Exported;
pub use outcome::Outcome;
pub use remote_host::{HostRequest, RemoteHost};

/// The number of the boundary that this crate speaks.
pub const API: u32 = 1;

/// The name of the symbol that a plugin exports.
pub const SYMBOL: &str = "latchlight_plugin";

/// What a plugin exports. All functions may be called from any thread.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Declaration {
    /// The number of the boundary; always the first field.
    pub api: u32,
    /// The size of this struct in bytes; always the second field.
    pub size: u32,
    /// Makes the actions; called once. Gives an [`Outcome`] of a [`Record`].
    pub start: Option<unsafe extern "C" fn() -> Buffer>,
    /// Performs a [`Call`](crate::Call), lent as JSON. Gives an [`Outcome`]
    /// of an [`Answer`](crate::Answer). The host may be used until it returns.
    pub perform: Option<unsafe extern "C" fn(call: Slice, host: HostTable) -> Buffer>,
    /// Takes back what `start` and `perform` gave.
    pub free: Option<unsafe extern "C" fn(buffer: Buffer)>,
}

/// What the server lends a plugin for one call.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct HostTable {
    /// Goes into `request` as it is.
    pub context: *const c_void,
    /// Asks the host: a [`HostRequest`], lent as JSON, for an [`Outcome`].
    pub request: unsafe extern "C" fn(context: *const c_void, request: Slice) -> Buffer,
    /// Takes back what `request` gave.
    pub free: unsafe extern "C" fn(buffer: Buffer),
}

/// Bytes that are lent.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Slice {
    /// The first byte; may be null where there is none.
    pub data: *const u8,
    /// How many.
    pub len: usize,
}

impl Slice {
    /// Lends these; whoever gets the slice must be done before they go.
    pub fn of(bytes: &[u8]) -> Self {
        Self { data: bytes.as_ptr(), len: bytes.len() }
    }
}

/// Bytes that are given, and go back to the side that made them.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Buffer {
    /// The first byte; may be null where there is none.
    pub data: *mut u8,
    /// How many.
    pub len: usize,
    /// For the maker's use: how many there is room for.
    pub capacity: usize,
}

impl From<Vec<u8>> for Buffer {
    fn from(bytes: Vec<u8>) -> Self {
        let mut bytes = ManuallyDrop::new(bytes);
        Self { data: bytes.as_mut_ptr(), len: bytes.len(), capacity: bytes.capacity() }
    }
}

/// What a plugin says of itself when it has started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The version of this crate that it was built with.
    pub built_with: String,
    /// Its actions.
    pub actions: Vec<ActionInfo>,
}
