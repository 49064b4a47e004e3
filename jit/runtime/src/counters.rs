//! Every counter, declared once; `stats()` shows them all.

use pepjit_ir::op::Reason;
use std::collections::BTreeMap;

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// What is counted, by name.
        #[derive(Debug, Default)]
        pub(crate) struct Counters {
            $($(#[$doc])* pub(crate) $name: u64,)*
            /// Exits by reason; native code counts here, so the array stays where it is.
            pub(crate) exits: Box<[u64; Reason::ALL.len()]>,
            /// What was not compiled, by reason.
            pub(crate) unsupported: BTreeMap<String, u64>,
            /// Nanoseconds in each pass.
            pub(crate) passes: BTreeMap<&'static str, u64>,
        }
        impl Counters {
            /// Every counter with its name.
            pub(crate) fn all(&self) -> Vec<(String, u64)> {
                let mut all: Vec<(String, u64)> = vec![$((stringify!($name).to_string(), self.$name),)*];
                all.push(("exits".into(), self.exits.iter().sum()));
                all.extend(Reason::ALL.iter().map(|reason| (format!("exit:{}", reason.name()), self.exits[*reason as usize])));
                all.extend(self.unsupported.iter().map(|(name, count)| (format!("unsupported:{name}"), *count)));
                all.extend(self.passes.iter().map(|(name, time)| (format!("pass_ns:{name}"), *time)));
                all
            }
        }
    };
}

counters! {
    /// Functions compiled (recompilations included).
    functions_compiled,
    /// Loops compiled (recompilations included).
    loops_compiled,
    /// Generators' code from one yield to the next compiled (recompilations included).
    resumes_compiled,
    /// Calls that came in through a hooked function from outside compiled code.
    native_entries,
    /// Loops entered from the interpreter.
    osr_entries,
    /// Functions and loops that were tried and stay interpreted.
    compile_failures,
    /// Compilations that hit a bug of the compiler.
    internal_errors,
    /// Compiled code given up because an assumption broke.
    invalidations,
    /// Compilations repeated without a speculation that failed.
    recompilations,
    /// Functions and loops given back to the interpreter until compiling them again is affordable, because their exits cost too much.
    postponed,
    /// Times that code which waits until compiling it is affordable wasn't listened to for a while.
    rests,
    /// Compilations broken off because nothing would be gained before what is called is compiled, which isn't affordable yet.
    too_early,
    /// Functions and loops given up because speculation kept failing.
    given_up,
    /// Compiled functions and loops freed because what they were made from has gone.
    units_freed,
    /// Bytes of machine code in use.
    code_bytes,
    /// Bytes of metadata: exit records and their slots.
    metadata_bytes,
    /// The most bytes that one compilation had allocated at once.
    compile_peak_bytes,
    /// Nanoseconds of processor time spent compiling, everything included.
    compile_ns,
    /// Of these: front end.
    frontend_ns,
    /// Of these: back end.
    backend_ns,
    /// Code units of bytecode compiled.
    bytecodes_compiled,
}
