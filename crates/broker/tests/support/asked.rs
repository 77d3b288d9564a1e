//! Interceptors that are asked at one step.

/// Asked at one step, it does what a test says.
#[allow(unused_macros)]
macro_rules! asked {
    ($step:ident, |$($argument:ident: $type:ty),*| -> $result:ty $body:block) => {{
        struct Asked;
        impl Interceptor for Asked {
            fn steps(&self) -> Steps {
                Steps { $step: true, ..Steps::NONE }
            }

            fn $step(&self, $($argument: $type),*) -> $result $body
        }
        Asked
    }};
}

pub(crate) use asked;
