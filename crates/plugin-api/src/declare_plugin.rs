//! `declare_plugin!`: from actions to a dynamic library.

/// Makes the crate a plugin with these actions: once per crate, at its root.
/// The plugin's name and version are the package's; give another name first
/// where it is to differ.
///
/// ```
/// use latchlight_plugin_api::{
///     Action, ActionError, ActionInfo, Answer, Call, Callers, Host, declare_plugin,
/// };
///
/// #[derive(Default)]
/// struct Greet;
///
/// impl Action for Greet {
///     fn info(&self) -> ActionInfo {
///         ActionInfo {
///             name: "greet".to_owned(),
///             description: "Greets whoever calls.".to_owned(),
///             callers: Callers::APPS,
///             secret: false,
///         }
///     }
///
///     fn perform(&self, call: &Call, _: &dyn Host) -> Result<Answer, ActionError> {
///         Ok(Answer::text(format!("good evening, {}", call.caller)))
///     }
/// }
///
/// declare_plugin!(Greet);
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! declare_plugin {
    (name: $name:expr, $($action:expr),+ $(,)?) => {
        // Reason: a symbol for a C linker, and pointers from a C caller. All
        // unsafe code of a plugin stands here.
        #[allow(unsafe_code, non_upper_case_globals)]
        const _: () = {
            use $crate::boundary::{API, Buffer, Declaration, Exported, HostTable, Slice};

            fn make() -> ::std::vec::Vec<::std::boxed::Box<dyn $crate::Action>> {
                ::std::vec![$(::std::boxed::Box::new($action)),+]
            }

            static PLUGIN: Exported = Exported::new($name, env!("CARGO_PKG_VERSION"), make);

            unsafe extern "C" fn start() -> Buffer {
                PLUGIN.start().into()
            }

            unsafe extern "C" fn perform(call: Slice, host: HostTable) -> Buffer {
                // SAFETY: the server lends the call until this function returns.
                let call = unsafe { borrow(call.data, call.len) };
                let ask = |request: &[u8]| {
                    // SAFETY: the table is the server's, good until `perform`
                    // returns; the request is lent for this call only.
                    let answer = unsafe { (host.request)(host.context, Slice::of(request)) };
                    // SAFETY: the answer is ours until it is given back, below.
                    let bytes = unsafe { borrow(answer.data, answer.len) }.to_vec();
                    // SAFETY: it came from `request`, and goes back once.
                    unsafe { (host.free)(answer) };
                    bytes
                };
                PLUGIN.perform(call, &ask).into()
            }

            unsafe extern "C" fn free(buffer: Buffer) {
                // SAFETY: the server gives back, once, what `start` or
                // `perform` made of a `Vec<u8>`.
                let Buffer { data, len, capacity } = buffer;
                drop(unsafe { ::std::vec::Vec::from_raw_parts(data, len, capacity) });
            }

            /// # Safety
            /// There are `len` bytes at `data`, for as long as `'a`.
            unsafe fn borrow<'a>(data: *const u8, len: usize) -> &'a [u8] {
                if data.is_null() {
                    return &[];
                }
                // SAFETY: as above.
                unsafe { ::std::slice::from_raw_parts(data, len) }
            }

            // SAFETY: the one symbol of a plugin; nothing else bears its name.
            #[unsafe(no_mangle)]
            static latchlight_plugin: Declaration = Declaration {
                api: API,
                size: ::std::mem::size_of::<Declaration>() as u32,
                start: ::std::option::Option::Some(start),
                perform: ::std::option::Option::Some(perform),
                free: ::std::option::Option::Some(free),
            };
        };
    };
    ($($action:expr),+ $(,)?) => {
        $crate::declare_plugin!(name: env!("CARGO_PKG_NAME"), $($action),+);
    };
}
