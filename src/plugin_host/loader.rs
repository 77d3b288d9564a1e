//! Loading a library and crossing the boundary: the server's only unsafe code.
//!
//! What is loaded is a copy of the very bytes that were checked, in a folder
//! that only this user can enter. The API number is read before anything else
//! is, and nothing is called before that. A library is never unloaded.
#![allow(unsafe_code)] // Reason: dynamic linking, and pointers from a C caller.

use std::ffi::c_void;
use std::fs::{OpenOptions, Permissions};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::panic::{AssertUnwindSafe, catch_unwind};

use latchlight_plugin_api::boundary::{
    API, Buffer, Declaration, HostTable, Outcome, Record, SYMBOL, Slice,
};
use latchlight_plugin_api::{ActionError, Answer, Call};
use libloading::os::unix::{Library as Unix, RTLD_LOCAL, RTLD_NOW};
use serde::de::DeserializeOwned;

use super::load_error::LoadError;

/// The most bytes of an answer that are read.
const LARGEST_ANSWER: usize = 4 * 1024 * 1024;

/// What a plugin can ask during a call: JSON in, JSON out.
pub(super) trait Asked {
    /// Answers a request.
    fn answer(&self, request: &[u8]) -> Vec<u8>;
}

/// A library in this process, for as long as it runs.
#[derive(Clone, Copy)]
pub(super) struct Library {
    start: unsafe extern "C" fn() -> Buffer,
    perform: unsafe extern "C" fn(Slice, HostTable) -> Buffer,
    free: unsafe extern "C" fn(Buffer),
}

impl Library {
    /// Loads these bytes and reads their declaration.
    pub(super) fn load(file: &str, bytes: &[u8]) -> Result<Self, LoadError> {
        let library = open_copy(file, bytes)?;
        let declaration = read_declaration(&library);
        // Threads and destructors of the library may still be under way.
        std::mem::forget(library);
        let Declaration { start, perform, free, .. } = declaration?;
        match (start, perform, free) {
            (Some(start), Some(perform), Some(free)) => Ok(Self { start, perform, free }),
            _ => Err(LoadError::Incomplete),
        }
    }

    /// Has the plugin make its actions; once.
    pub(super) fn start(&self) -> Outcome<Record> {
        // SAFETY: the API number matched, so the function has this signature.
        let buffer = unsafe { (self.start)() };
        self.take(buffer)
    }

    /// Has the plugin perform a call; the host is lent until this returns.
    pub(super) fn perform(&self, call: &Call, host: &dyn Asked) -> Outcome<Answer> {
        let call = match serde_json::to_vec(call) {
            Ok(call) => call,
            Err(error) => return Outcome::Error(ActionError::internal(error.to_string())),
        };
        let context: *const &dyn Asked = &raw const host;
        let table = HostTable { context: context.cast(), request, free };
        // SAFETY: the API number matched, so the function has this signature;
        // call and context outlive it, and it may keep neither.
        let buffer = unsafe { (self.perform)(Slice::of(&call), table) };
        self.take(buffer)
    }

    /// Reads what the plugin gave, and gives it back.
    fn take<T: DeserializeOwned>(&self, buffer: Buffer) -> Outcome<T> {
        let outcome = if buffer.len > LARGEST_ANSWER {
            let what = format!("an answer of more than {LARGEST_ANSWER} bytes");
            Outcome::Error(ActionError::internal(what))
        } else {
            // SAFETY: the plugin says that these bytes are there until they are freed.
            Outcome::from_bytes(unsafe { borrow(buffer.data, buffer.len) })
        };
        // SAFETY: this came from the plugin, and goes back once.
        unsafe { (self.free)(buffer) };
        outcome
    }
}

/// Opens a copy of the bytes that no one else can have changed. The copy has
/// no name any more when this returns.
fn open_copy(file: &str, bytes: &[u8]) -> Result<Unix, LoadError> {
    let folder = tempfile::Builder::new()
        .prefix("latchlight-plugin-")
        .permissions(Permissions::from_mode(0o700))
        .tempdir()
        .map_err(LoadError::Copy)?;
    let copy = folder.path().join(file);
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&copy)
        .and_then(|mut opened| opened.write_all(bytes))
        .map_err(LoadError::Copy)?;
    // SAFETY: this runs the library's constructors. The administrator allowed
    // these bytes by their hash, which is to trust them like the server.
    let opened = unsafe { Unix::open(Some(&copy), RTLD_NOW | RTLD_LOCAL) };
    opened.map_err(|error| {
        let shown = error.to_string().replace(&*copy.to_string_lossy(), file);
        LoadError::NotALibrary(shown)
    })
}

fn read_declaration(library: &Unix) -> Result<Declaration, LoadError> {
    // SAFETY: the symbol is used as a pointer to data only.
    let symbol = unsafe { library.get::<*const u32>(SYMBOL) };
    let header: *const u32 = *symbol.map_err(|_| LoadError::NoSymbol)?;
    if header.is_null() {
        return Err(LoadError::NoSymbol);
    }
    // SAFETY: the first field of every declaration is its API number.
    let api = unsafe { header.read_unaligned() };
    if api != API {
        return Err(LoadError::WrongApi(api));
    }
    // SAFETY: a declaration of this API has its size as the second field.
    let size = unsafe { header.add(1).read_unaligned() };
    if (size as usize) < size_of::<Declaration>() {
        return Err(LoadError::Incomplete);
    }
    // SAFETY: a declaration of this API and at least this size is there, and
    // a missing function is null, which is `None`.
    Ok(unsafe { header.cast::<Declaration>().read_unaligned() })
}

/// The host's side of [`HostTable::request`].
unsafe extern "C" fn request(context: *const c_void, request: Slice) -> Buffer {
    let answer = catch_unwind(AssertUnwindSafe(|| {
        // SAFETY: the context is the one that `perform` made, and `perform`
        // has not returned: a plugin may not use it later.
        let host: &dyn Asked = unsafe { *context.cast::<&dyn Asked>() };
        // SAFETY: the plugin lends the request for this call.
        host.answer(unsafe { borrow(request.data, request.len) })
    }));
    let answer = answer.unwrap_or_else(|_| {
        tracing::error!("the server failed at a plugin's request");
        Outcome::<()>::Error(ActionError::internal("the server failed; its log has more"))
            .to_bytes()
    });
    answer.into()
}

/// The host's side of [`HostTable::free`].
unsafe extern "C" fn free(buffer: Buffer) {
    // SAFETY: a plugin gives back, once, what `request` made of a `Vec<u8>`.
    drop(unsafe { Vec::from_raw_parts(buffer.data, buffer.len, buffer.capacity) });
}

/// # Safety
/// There are `len` bytes at `data`, for as long as `'a`.
unsafe fn borrow<'a>(data: *const u8, len: usize) -> &'a [u8] {
    if data.is_null() {
        return &[];
    }
    // SAFETY: as above.
    unsafe { std::slice::from_raw_parts(data, len) }
}
