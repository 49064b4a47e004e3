//! What the machine is, and how busy and how steady it is right now.
//!
//! A value that the system doesn't give is left out, never guessed.

use std::collections::BTreeMap;
use std::fs;
use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use serde::{Deserialize, Serialize};

use crate::model::{DesignKind, Host};

/// Spread of the probe's steps (see [`Noise::spread`]) above which processes that run one after the other
/// can't be compared: a pair's ratio would carry this much noise before any workload adds its own.
pub const NOISY_SPREAD: f64 = 0.03;

/// Share of stolen time above which a hypervisor is taking turns away from us.
pub const NOISY_STEAL: f64 = 0.005;

/// The machine as the manifest records it.
pub fn host() -> Host {
    let mut system = sysinfo::System::new();
    system.refresh_memory();
    Host {
        cpu_model: cpu_model(&read("/proc/cpuinfo")).unwrap_or_else(|| std::env::consts::ARCH.to_owned()),
        cores: u32::try_from(allowed_cpus().len()).unwrap_or(u32::MAX),
        kernel: format!(
            "{} {}",
            sysinfo::System::name().unwrap_or_else(|| std::env::consts::OS.to_owned()),
            sysinfo::System::kernel_version().unwrap_or_default()
        )
        .trim()
        .to_owned(),
        memory_bytes: system.total_memory(),
    }
}

/// The target triple that this machine's programs are built for.
pub fn platform() -> String {
    let arch = std::env::consts::ARCH;
    match std::env::consts::OS {
        "linux" if cfg!(target_env = "musl") => format!("{arch}-unknown-linux-musl"),
        "linux" => format!("{arch}-unknown-linux-gnu"),
        "macos" => format!("{arch}-apple-darwin"),
        "windows" => format!("{arch}-pc-windows-msvc"),
        other => format!("{arch}-unknown-{other}"),
    }
}

/// A file's text, or nothing.
fn read(path: impl AsRef<Path>) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

/// The processor's name in the text of `/proc/cpuinfo` (x86 calls it `model name`, some ARM kernels `Model`).
fn cpu_model(cpuinfo: &str) -> Option<String> {
    let field = |name: &str| {
        cpuinfo.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            (key.trim() == name && !value.trim().is_empty()).then(|| value.trim().to_owned())
        })
    };
    field("model name").or_else(|| field("Model")).or_else(|| field("CPU part").map(|part| format!("CPU part {part}")))
}

/// The logical processors that this process may use, ascending.
pub fn allowed_cpus() -> Vec<u32> {
    let Ok(set) = sched_getaffinity(None) else { return vec![0] };
    (0..CpuSet::MAX_CPU).filter(|cpu| set.is_set(*cpu)).filter_map(|cpu| u32::try_from(cpu).ok()).collect()
}

/// Runs `work` on a thread of its own that is pinned to `cpu`, and waits for it. A child process that it
/// starts inherits the pin: no code runs between fork and exec.
///
/// # Errors
/// What the system said if the thread can't be pinned (a container may forbid it).
pub fn pinned<T: Send>(cpu: u32, work: impl FnOnce() -> T + Send) -> std::io::Result<T> {
    std::thread::scope(|scope| {
        let thread = scope.spawn(move || {
            let mut set = CpuSet::new();
            set.set(cpu as usize);
            sched_setaffinity(None, &set)?;
            Ok(work())
        });
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// The one-minute load average.
pub fn load() -> Option<f64> {
    read("/proc/loadavg").split_whitespace().next()?.parse().ok()
}

/// Processor time since boot, over all processors, in ticks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CpuTicks {
    /// Every state.
    pub total: u64,
    /// Neither idle nor waiting for a device.
    pub busy: u64,
    /// Taken by the hypervisor for others while we had work.
    pub steal: u64,
}

impl CpuTicks {
    /// Now. Zeros where `/proc/stat` isn't there.
    pub fn now() -> Self {
        Self::parse(&read("/proc/stat")).unwrap_or_default()
    }

    /// The first line of `/proc/stat`: `cpu user nice system idle iowait irq softirq steal guest guest_nice`.
    fn parse(stat: &str) -> Option<Self> {
        let line = stat.lines().find_map(|line| line.strip_prefix("cpu "))?;
        let ticks: Vec<u64> = line.split_whitespace().map_while(|word| word.parse().ok()).collect();
        // guest and guest_nice are part of user and nice already.
        let states = ticks.get(..8)?;
        let total = states.iter().sum();
        Some(Self { total, busy: total - states[3] - states[4], steal: states[7] })
    }

    /// Ticks stolen since `earlier`.
    pub fn stolen_since(self, earlier: Self) -> u64 {
        self.steal.saturating_sub(earlier.steal)
    }

    /// Share of the time since `earlier` that was stolen.
    pub fn steal_share(self, earlier: Self) -> f64 {
        let total = self.total.saturating_sub(earlier.total);
        if total == 0 { 0.0 } else { self.stolen_since(earlier) as f64 / total as f64 }
    }
}

/// The current frequency of `cpu` in MHz, where the kernel tells it.
pub fn frequency_mhz(cpu: u32) -> Option<f64> {
    let khz: f64 = read(format!("/sys/devices/system/cpu/cpu{cpu}/cpufreq/scaling_cur_freq")).trim().parse().ok()?;
    Some(khz / 1000.0)
}

/// Whether this is a virtual machine: the processor's `hypervisor` flag, which every x86 hypervisor sets, or
/// what firmware says of itself on other architectures.
pub fn is_virtual() -> bool {
    let cpuinfo = read("/proc/cpuinfo");
    let flagged = cpuinfo
        .lines()
        .filter(|line| line.starts_with("flags"))
        .any(|line| line.split_whitespace().any(|flag| flag == "hypervisor"));
    let vendor = read("/sys/class/dmi/id/sys_vendor");
    flagged
        || Path::new("/sys/hypervisor/type").exists()
        || ["QEMU", "Amazon EC2", "Google", "Microsoft Corporation", "VMware", "innotek"].iter().any(|name| vendor.contains(name))
}

/// How much work of a fixed size varies on this machine, without any Python.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Noise {
    /// How far apart the slow and the fast steps are: (90th - 10th percentile) / median.
    pub spread: f64,
    /// Share of the time that the hypervisor took away meanwhile.
    pub steal: f64,
    /// How many steps were timed.
    pub steps: usize,
}

/// Times steps of about 2 ms of integer work for `duration` on `cpu`.
pub fn probe_noise(cpu: u32, duration: Duration) -> Noise {
    let before = CpuTicks::now();
    let measure = || {
        let mut times = Vec::new();
        let started = Instant::now();
        while started.elapsed() < duration {
            let step = Instant::now();
            let mut state = black_box(0x9e37_79b9_7f4a_7c15_u64);
            for _ in 0..400_000 {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
            }
            black_box(state);
            times.push(step.elapsed().as_secs_f64());
        }
        times
    };
    let times = pinned(cpu, measure).unwrap_or_else(|_| measure());
    Noise { spread: spread(times.clone()), steal: CpuTicks::now().steal_share(before), steps: times.len() }
}

/// (90th - 10th percentile) / median.
fn spread(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    let at = |share: f64| times.get(((times.len().saturating_sub(1)) as f64 * share) as usize).copied().unwrap_or(0.0);
    let median = at(0.5);
    if median > 0.0 { (at(0.9) - at(0.1)) / median } else { 0.0 }
}

/// A design and the reason for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Choice {
    /// The design.
    pub kind: DesignKind,
    /// Why, one sentence without a full stop.
    pub reason: String,
}

/// The design that this machine's state calls for.
///
/// On a virtual machine the neighbours' load comes and goes in seconds, whatever a short probe saw, so one
/// that looks quiet now still gets co-scheduled blocks.
pub fn choose_design(noise: Noise, virtual_machine: bool) -> Choice {
    let percent = |share: f64| format!("{:.1} %", share * 100.0);
    let (kind, reason) = if noise.steal > NOISY_STEAL {
        (DesignKind::Coscheduled, format!("the hypervisor took away {} of the time", percent(noise.steal)))
    } else if noise.spread > NOISY_SPREAD {
        (DesignKind::Coscheduled, format!("equal work varied by {} in a probe just now", percent(noise.spread)))
    } else if virtual_machine {
        (
            DesignKind::Coscheduled,
            "this is a virtual machine, whose neighbours come and go although a probe was steady just now".to_owned(),
        )
    } else {
        (DesignKind::Interleaved, format!("the machine is quiet: equal work varied by {}", percent(noise.spread)))
    };
    Choice { kind, reason }
}

/// The state of the machine as facts for `machine.json`.
pub fn facts() -> BTreeMap<String, String> {
    let mut facts = BTreeMap::new();
    let mut fact = |name: &str, value: String| {
        if !value.trim().is_empty() {
            facts.insert(name.to_owned(), value.trim().to_owned());
        }
    };
    fact("virtual_machine", is_virtual().to_string());
    fact("smt_active", read("/sys/devices/system/cpu/smt/active"));
    fact("governor", read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"));
    fact("turbo_disabled", read("/sys/devices/system/cpu/intel_pstate/no_turbo"));
    fact("aslr", read("/proc/sys/kernel/randomize_va_space"));
    fact("load_1_5_15", read("/proc/loadavg").split_whitespace().take(3).collect::<Vec<_>>().join(" "));
    fact("frequency_mhz", frequency_mhz(0).map(|mhz| format!("{mhz:.0}")).unwrap_or_default());
    facts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_count_steal_and_leave_guests_out() {
        let ticks = CpuTicks::parse("cpu  100 10 50 800 20 3 2 15 40 4\ncpu0 1 2 3\n").unwrap();
        assert_eq!(ticks, CpuTicks { total: 1000, busy: 180, steal: 15 });
        let later = CpuTicks { total: 1200, busy: 300, steal: 25 };
        assert_eq!(later.stolen_since(ticks), 10);
        assert!((later.steal_share(ticks) - 0.05).abs() < 1e-12);
        assert_eq!(CpuTicks::parse("intr 1 2 3"), None);
    }

    #[test]
    fn the_cpu_has_a_name_on_x86_and_on_arm() {
        assert_eq!(cpu_model("processor : 0\nmodel name\t: Fast 9000\n").as_deref(), Some("Fast 9000"));
        assert_eq!(cpu_model("processor : 0\nCPU part\t: 0xd0c\n").as_deref(), Some("CPU part 0xd0c"));
        assert_eq!(cpu_model(""), None);
    }

    #[test]
    fn a_noisy_or_virtual_machine_gets_coscheduled_blocks() {
        let quiet = Noise { spread: 0.004, steal: 0.0, steps: 900 };
        assert_eq!(choose_design(quiet, false).kind, DesignKind::Interleaved);
        assert_eq!(choose_design(quiet, true).kind, DesignKind::Coscheduled);
        let shaky = choose_design(Noise { spread: 0.2, ..quiet }, false);
        assert_eq!(shaky.kind, DesignKind::Coscheduled);
        assert!(shaky.reason.contains("20.0 %"), "{}", shaky.reason);
        let robbed = choose_design(Noise { steal: 0.05, ..quiet }, false);
        assert!(robbed.reason.contains("5.0 %"), "{}", robbed.reason);
    }

    #[test]
    fn the_spread_is_that_of_the_middle_steps() {
        let times: Vec<f64> = (0..101).map(|i| 1.0 + f64::from(i) / 100.0).collect();
        assert!((spread(times) - 0.8 / 1.5).abs() < 1e-9);
        assert!(spread(vec![]).abs() < 1e-12);
    }

    #[test]
    fn a_pinned_thread_runs_where_it_was_told() {
        let cpu = allowed_cpus()[0];
        let seen = pinned(cpu, allowed_cpus).unwrap();
        assert_eq!(seen, [cpu]);
        assert!(allowed_cpus().contains(&cpu), "the caller keeps its own processors");
        let noise = probe_noise(cpu, Duration::from_millis(30));
        assert!(noise.steps > 0);
    }
}
