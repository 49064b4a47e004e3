//! Maintenance, history and the redistributor's sheet, where a run's folder has them.

use pepjit_harness::compat::Compat;
use pepjit_harness::governance::{Governance, Stage};
use pepjit_harness::history::{History, Line, RunPoint, Series, TierHistory};
use pepjit_harness::redistributor::{Dependency, Sheet};
use serde::Serialize;

use crate::document::Annexes;
use crate::format;
use crate::plot::{self, PlotError};

/// What a report has beside its runs.
#[derive(Debug, Serialize)]
pub(crate) struct AnnexView {
    pub(crate) governance: Vec<GovernanceView>,
    pub(crate) history: Vec<LineView>,
    pub(crate) history_left_out: Vec<String>,
    pub(crate) redistributor: Option<SheetView>,
    pub(crate) compat: Vec<CompatView>,
}

/// What tools, tests or others in the process saw.
#[derive(Debug, Serialize)]
pub(crate) struct CompatView {
    pub(crate) heading: String,
    pub(crate) summary: String,
    pub(crate) heads: Vec<String>,
    pub(crate) rows: Vec<Vec<String>>,
    pub(crate) differences: Vec<Vec<String>>,
    pub(crate) modules: Vec<Vec<String>>,
    pub(crate) tests: Vec<Vec<String>>,
}

/// Names with values.
type Facts = Vec<(String, String)>;

/// Who maintains what.
#[derive(Debug, Serialize)]
pub(crate) struct GovernanceView {
    /// Whose JIT, by which repository.
    pub(crate) heading: String,
    pub(crate) facts: Facts,
    pub(crate) stages: Vec<Vec<String>>,
    pub(crate) deserted: Vec<Vec<String>>,
    pub(crate) rearchitecture: Vec<Vec<String>>,
    pub(crate) pairs: Vec<Vec<String>>,
}

/// A line of the history.
#[derive(Debug, Serialize)]
pub(crate) struct LineView {
    pub(crate) heading: String,
    pub(crate) extent: String,
    /// Commit, day, its summary, run, commits since the run before.
    pub(crate) runs: Vec<Vec<String>>,
    pub(crate) tiers: Vec<TierLine>,
}

/// A tier of a line.
#[derive(Debug, Serialize)]
pub(crate) struct TierLine {
    pub(crate) tier: String,
    pub(crate) ends: String,
    pub(crate) no_move: &'static str,
    pub(crate) plot: Option<String>,
    /// The workloads that moved: their names and plots.
    pub(crate) plots: Vec<(String, String)>,
    pub(crate) moves: Vec<Vec<String>>,
}

/// The redistributor's sheet.
#[derive(Debug, Serialize)]
pub(crate) struct SheetView {
    pub(crate) facts: Facts,
    pub(crate) builds: Vec<Vec<String>>,
    pub(crate) licences: Vec<Vec<String>>,
    pub(crate) dependencies: Vec<Vec<String>>,
    pub(crate) parts: Vec<Vec<String>>,
    pub(crate) recipe: String,
}

impl AnnexView {
    pub(super) fn new(annexes: &Annexes) -> Result<Self, PlotError> {
        let history = annexes.history.as_ref();
        Ok(Self {
            governance: annexes
                .governance
                .iter()
                .chain(annexes.other_governance.iter().map(|(_, g)| g))
                .map(governance)
                .collect(),
            history: history.map(lines).transpose()?.unwrap_or_default(),
            history_left_out: history.map(|h| h.left_out.iter().map(crate::history::left_out).collect()).unwrap_or_default(),
            redistributor: annexes.redistributor.as_ref().map(sheet),
            compat: [("Tools and CPython's own tests", &annexes.compat), ("Others in the same process", &annexes.coexistence)]
                .into_iter()
                .filter_map(|(heading, file)| Some(compat(heading, file.as_ref()?)))
                .collect(),
        })
    }
}

fn compat(heading: &str, compat: &Compat) -> CompatView {
    let modes: Vec<&str> = compat.modes.iter().skip(1).map(|m| m.name.as_str()).collect();
    let rows = compat.tools.rows.iter().map(|row| {
        let first = [row.name.clone(), row.checks.clone()];
        first.into_iter().chain(modes.iter().map(|mode| crate::compat::cell(row, mode))).collect()
    });
    let differences = compat.tools.rows.iter().flat_map(|row| {
        row.modes.iter().flat_map(move |mode| {
            let message = mode.message.lines().take(3).collect::<Vec<_>>().join(" ");
            let message =
                (!message.is_empty()).then(|| vec![row.name.clone(), mode.mode.clone(), message, String::new(), String::new()]);
            let places = mode.differences.iter().take(crate::compat::SHOWN);
            message
                .into_iter()
                .chain(places.map(move |d| vec![row.name.clone(), mode.mode.clone(), d.at.clone(), d.off.clone(), d.on.clone()]))
        })
    });
    let modules = compat.cpython_tests.iter().flat_map(|suite| &suite.modules);
    let tests = modules.clone().flat_map(|m| {
        let all = m.differences.iter().map(|d| (d, "")).chain(m.expected.iter().map(|d| (d, d.detail.as_str())));
        all.map(|(d, reason)| vec![m.module.clone(), d.test.clone(), d.off.clone(), d.on.clone(), reason.to_owned()])
    });
    CompatView {
        heading: heading.to_owned(),
        summary: format!(
            "CPython {} on {}: {}.",
            compat.provenance.python,
            compat.provenance.platform,
            crate::compat::summary(compat)
        ),
        heads: ["row", "compared"].into_iter().chain(modes.iter().copied()).map(str::to_owned).collect(),
        rows: rows.collect(),
        differences: differences.collect(),
        modules: modules.map(crate::compat::module_cells).collect(),
        tests: tests.collect(),
    }
}

fn fact(name: &str, value: impl Into<String>) -> (String, String) {
    (name.to_owned(), value.into())
}

fn number(value: usize) -> String {
    format::count(value as f64)
}

fn governance(g: &Governance) -> GovernanceView {
    const SHOWN: usize = 12;
    let rules = &g.map.rules;
    let share = format::percent(g.co_change.share);
    let facts = vec![
        fact("Repository", format!("{} at {}, as of {}", g.repository.name, short(&g.repository.head), g.repository.as_of)),
        fact("Commits", format!("{} since {}", number(g.repository.commits), g.repository.since)),
        fact("Map", format!("{} (SHA-256 {})", g.map.name, short(&g.map.sha256))),
        fact(
            "Active",
            format!(
                "committed to the stage in the last {} days; recurring: at least {} commits over {} days",
                rules.active_days, rules.recurring_commits, rules.recurring_days
            ),
        ),
        fact(
            "People",
            format!(
                "{} from {} signatures ({} merged by .mailmap, {} by name)",
                number(g.identities.people),
                number(g.identities.signatures),
                number(g.identities.by_mailmap),
                number(g.identities.by_name)
            ),
        ),
        fact(
            "Left out",
            format!(
                "{} merges, {} commits of bots ({}), generated files ({})",
                number(g.excluded.merges),
                number(g.excluded.bot_commits),
                format::some(&g.excluded.bots),
                format::some(&g.excluded.generated)
            ),
        ),
        fact(
            "Interpreter and JIT together",
            format!(
                "{} of {} commits to the interpreter changed the JIT too ({share})",
                number(g.co_change.both),
                number(g.co_change.interpreter)
            ),
        ),
    ];
    let stages = std::iter::once(&g.whole).chain(&g.stages);
    let deserted = stages.clone().skip(1).flat_map(|s| s.deserted.iter().map(move |d| (s, d)));
    GovernanceView {
        heading: format!("{}, {}", g.map.name, g.repository.name),
        facts,
        stages: stages.map(stage).collect(),
        deserted: deserted
            .take(SHOWN)
            .map(|(s, d)| {
                vec![d.path.clone(), s.name.clone(), list(&d.authors), number(d.days.max(0) as usize), d.last_change.clone()]
            })
            .collect(),
        rearchitecture: g
            .rearchitecture
            .iter()
            .take(SHOWN)
            .map(|r| {
                vec![
                    r.date.clone(),
                    r.stage.clone(),
                    short(&r.commit),
                    r.summary.clone(),
                    crate::governance::lines_of(r),
                    number(r.lines_before as usize),
                ]
            })
            .collect(),
        pairs: g
            .co_change
            .pairs
            .iter()
            .take(SHOWN)
            .map(|p| vec![p.interpreter.clone(), p.stage.clone(), number(p.together), number(p.interpreter_commits)])
            .collect(),
    }
}

fn stage(s: &Stage) -> Vec<String> {
    vec![
        s.name.clone(),
        number(s.files),
        number(s.commits),
        number(s.contributors),
        number(s.recurring),
        number(s.active_recurring),
        format!("{} ({} active)", s.truck_factor.factor, s.truck_factor_active.factor),
        s.absence_factor.to_string(),
        format!("+{} -{}", number(s.churn.added as usize), number(s.churn.removed as usize)),
        number(s.deserted.len()),
    ]
}

fn lines(history: &History) -> Result<Vec<LineView>, PlotError> {
    let run = |r: &RunPoint| {
        let dirty = if r.dirty { ", with changes that no commit has" } else { "" };
        vec![short(&r.commit), r.date.clone(), format!("{}{dirty}", r.summary), r.run_id.clone(), number(r.commits_since)]
    };
    let line = |line: &Line| {
        Ok(LineView {
            heading: format!("CPython {}, suite {}, {}, {}", line.python, line.suite, line.platform, line.cpu_model),
            extent: crate::history::extent(line),
            runs: line.runs.iter().map(run).collect(),
            // One run alone has nothing to be compared with.
            tiers: if line.runs.len() > 1 {
                line.tiers.iter().map(|t| tier(line, t)).collect::<Result<_, _>>()?
            } else {
                Vec::new()
            },
        })
    };
    history.lines.iter().map(line).collect()
}

fn tier(line: &Line, tier: &TierHistory) -> Result<TierLine, PlotError> {
    let label = format!("Geometric mean of {} over the commits, with intervals", tier.tier);
    let commit = |run: usize| line.runs.get(run).map_or_else(String::new, |r| short(&r.commit));
    let moves = tier.moves.iter().map(|m| {
        vec![
            m.workload.clone().unwrap_or_else(|| "geometric mean".to_owned()),
            format!("{} to {}", commit(m.before), commit(m.after)),
            format!("{} to {}", format::ratio(m.ratio_before), format::ratio(m.ratio_after)),
            format!("{} {}", format::change(m.change), format::interval(Some(m.ci))),
            crate::history::suspects(line, m),
        ]
    });
    let plot_of = |series: &Series| {
        let name = series.workload.as_deref()?;
        let moved = tier.moves.iter().any(|m| m.workload.as_deref() == Some(name));
        moved.then(|| plot::history(&line.runs, series, &format!("{name} on {} over the commits, with intervals", tier.tier)))
    };
    let plots = tier.workloads.iter().filter_map(|s| Some((s.workload.clone()?, plot_of(s)?)));
    let plots = plots.map(|(name, plot)| Ok(Some(name).zip(plot?))).collect::<Result<Vec<_>, PlotError>>()?;
    Ok(TierLine {
        plots: plots.into_iter().flatten().collect(),
        tier: tier.tier.clone(),
        ends: crate::history::ends(line, tier),
        no_move: crate::history::no_move(tier),
        // A point alone is no history.
        plot: if tier.suite.points.len() > 1 { plot::history(&line.runs, &tier.suite, &label)? } else { None },
        moves: moves.collect(),
    })
}

fn sheet(s: &Sheet) -> SheetView {
    let bytes = |b: u64| format::kib(Some(b as f64 / 1024.0));
    let h = &s.binary.hardening;
    let hardening = [
        ("stack not executable", h.stack_not_executable),
        ("read-only relocations", h.relro),
        ("bound at loading", h.bind_now),
        ("no writable code", h.no_writable_code),
        ("no text relocations", h.no_text_relocations),
    ];
    let identical = match s.identical {
        Some(true) => "yes: the clean builds are the same to the bit".to_owned(),
        Some(false) => {
            let differ = |d: &pepjit_harness::redistributor::Difference| format!("{} bytes in {}", d.bytes, d.section);
            format!("no: {}", s.differences.iter().map(differ).collect::<Vec<_>>().join(", "))
        }
        None => "not measured: fewer than two builds".to_owned(),
    };
    let offline = if s.needs.offline { "built without network" } else { "built with network" };
    let facts = vec![
        fact(
            "Module",
            format!(
                "for CPython {} on {}, {} ({} stripped)",
                s.provenance.python,
                s.provenance.platform,
                bytes(s.binary.bytes),
                bytes(s.binary.stripped_bytes)
            ),
        ),
        fact("Sources", s.provenance.sources()),
        fact(
            "Needs",
            format!(
                "Rust {} or later ({}), {}, headers in {}; {offline}",
                s.needs.rust_least, s.needs.rust, s.needs.c_compiler, s.needs.headers
            ),
        ),
        fact("Downloads", s.needs.sources_bytes.map_or_else(|| "not measured".to_owned(), bytes)),
        fact("Other tools", if s.needs.other_tools.is_empty() { "none".to_owned() } else { list(&s.needs.other_tools) }),
        fact("Packages that run code at build time", list(&s.needs.runs_at_build)),
        fact("Same to the bit", identical),
        fact("Hardening", hardening.map(|(name, has)| format!("{} {name}", if has { "✓" } else { "✗" })).join(", ")),
        fact("Loaded at run time", format!("{}; symbols of {}", list(&s.runtime.needed), list(&s.runtime.symbol_versions))),
        fact("Mapped by the JIT alone", list(&s.runtime.mapped)),
        fact("CPython's names that it links", names(s)),
    ];
    let package = |kind: &str, d: &Dependency| vec![d.name.clone(), d.version.clone(), d.licence.clone(), kind.to_owned()];
    SheetView {
        facts,
        builds: s
            .builds
            .iter()
            .map(|b| {
                vec![
                    b.folder.clone(),
                    format::span(b.wall_s),
                    format::span(b.cpu_s),
                    format::kib(Some(b.peak_kib as f64)),
                    b.jobs.to_string(),
                    bytes(b.bytes),
                    short(&b.sha256),
                ]
            })
            .collect(),
        licences: s.licences.iter().map(|l| vec![l.licence.clone(), l.packages.to_string()]).collect(),
        dependencies: s
            .dependencies
            .iter()
            .map(|d| package("part of the module", d))
            .chain(s.build_dependencies.iter().map(|d| package("only the build", d)))
            .collect(),
        parts: s
            .anatomy
            .parts
            .iter()
            .map(|(name, part)| vec![name.replace('-', " "), number(part.files), number(part.lines)])
            .collect(),
        recipe: s.recipe.join("\n"),
    }
}

/// What the module links of CPython, by what is promised of it.
pub(crate) fn names(s: &Sheet) -> String {
    let n = &s.anatomy.symbols;
    if *n == pepjit_harness::redistributor::Symbols::default() {
        return "not measured".to_owned();
    }
    let [public, unstable, private] = [&n.public, &n.unstable, &n.private].map(|names| number(names.len()));
    format!("{public} public, {unstable} unstable, {private} private ({})", list(&n.private))
}

fn list(items: &[String]) -> String {
    if items.is_empty() { "none".to_owned() } else { items.join(", ") }
}

/// A hash, short.
fn short(hash: &str) -> String {
    hash.chars().take(12).collect()
}
