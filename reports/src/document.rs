//! Markdown and HTML, from one view through two templates.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use minijinja::{AutoEscape, Environment, Value};
use pepjit_harness::analysis::curves::{Curves, curves};
use pepjit_harness::analysis::{Analysis, AnalysisError, Options, RunData};
use pepjit_harness::compat::{self, Compat};
use pepjit_harness::gate::Judgement;
use pepjit_harness::governance::{self, Governance};
use pepjit_harness::history::{self, History};
use pepjit_harness::redistributor::{self, Sheet};
use pepjit_harness::store::write_atomically;
use pepjit_harness::timeline::Timeline;
use serde::de::DeserializeOwned;
use thiserror::Error;

use crate::format;
use crate::plot::PlotError;
use crate::view::Document;

const MARKDOWN: &str = "report.md";
const HTML: &str = "report.html";

/// The templates: those of HTML are a page and its parts.
const TEMPLATES: [(&str, &str); 6] = [
    (MARKDOWN, include_str!("templates/report.md.j2")),
    (HTML, include_str!("templates/report.html.j2")),
    ("merged.html", include_str!("templates/merged.html.j2")),
    ("verdicts.html", include_str!("templates/verdicts.html.j2")),
    ("run.html", include_str!("templates/run.html.j2")),
    ("annexes.html", include_str!("templates/annexes.html.j2")),
];
const STYLE: &str = include_str!("templates/report.css");
const SCRIPT: &str = include_str!("templates/report.js");

/// What a document is made from.
#[derive(Debug, Clone, Default)]
pub struct Material {
    /// The runs, at least one.
    pub runs: Vec<Evidence>,
    /// How the criteria stand against their deadlines.
    pub timeline: Option<Timeline>,
    /// What lies beside the runs.
    pub annexes: Annexes,
}

/// A run's analysis, and the gate's judgement of it where there is one.
#[derive(Debug, Clone)]
pub struct Evidence {
    /// What the run says.
    pub analysis: Analysis,
    /// What the gate says about it.
    pub judgement: Option<Judgement>,
    /// How its workloads warm up.
    pub curves: Vec<Curves>,
    /// Its folder.
    pub root: PathBuf,
}

impl Evidence {
    /// From a run's raw files.
    pub fn new(data: &RunData, options: Options, judgement: Option<Judgement>) -> Result<Self, AnalysisError> {
        Ok(Self { analysis: data.analyse(options)?, judgement, curves: curves(data), root: data.root.clone() })
    }
}

/// What other commands left in a run's folder.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Annexes {
    /// Who maintains CPython's JIT.
    pub governance: Option<Governance>,
    /// Who maintains another one, by the file that says it, `governance-NAME.json`.
    pub other_governance: Vec<(String, Governance)>,
    /// How the figures moved over commits.
    pub history: Option<History>,
    /// What tools and CPython's own tests saw.
    pub compat: Option<Compat>,
    /// What others in the same process saw.
    pub coexistence: Option<Compat>,
    /// What it takes to build and ship.
    pub redistributor: Option<Sheet>,
}

impl Annexes {
    /// Of each the first that is in one of the folders. One that is there and can't be read is an error.
    pub fn read(folders: &[PathBuf]) -> Result<Self, ReportError> {
        Ok(Self {
            governance: first(folders, governance::FILE)?,
            other_governance: others(folders)?,
            history: first(folders, history::FILE)?,
            compat: first(folders, compat::FILE)?,
            coexistence: first(folders, compat::COEXISTENCE_FILE)?,
            redistributor: first(folders, redistributor::FILE)?,
        })
    }
}

/// `governance-NAME.json` of any name, of each name the first.
fn others(folders: &[PathBuf]) -> Result<Vec<(String, Governance)>, ReportError> {
    let entries = folders.iter().filter_map(|folder| std::fs::read_dir(folder).ok()).flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let names: BTreeSet<String> = names.filter(|name| governance::is_of_another(name)).collect();
    let read = |name: String| Ok(first(folders, &name)?.map(|governance| (name, governance)));
    names.into_iter().filter_map(|name| read(name).transpose()).collect()
}

fn first<T: DeserializeOwned>(folders: &[PathBuf], name: &str) -> Result<Option<T>, ReportError> {
    let Some(path) = folders.iter().map(|folder| folder.join(name)).find(|path| path.is_file()) else { return Ok(None) };
    let damaged = |message: String| ReportError::Annex { path: path.clone(), message };
    let text = std::fs::read_to_string(&path).map_err(|e| damaged(e.to_string()))?;
    serde_json::from_str(&text).map(Some).map_err(|e| damaged(e.to_string()))
}

/// Why there is no document.
#[derive(Debug, Error)]
#[expect(missing_docs, reason = "each variant's message says all")]
#[non_exhaustive]
pub enum ReportError {
    #[error(transparent)]
    Plot(#[from] PlotError),
    #[error("the report's template failed: {0:#}")]
    Template(#[from] minijinja::Error),
    #[error("the analysis can't be written as JSON: {0}")]
    Json(#[from] serde_json::Error),
    #[error("cannot read {path}: {message}. Make it again, or remove it")]
    Annex { path: PathBuf, message: String },
    #[error("cannot write {path}: {source}. Check permissions and free space, or give another folder with --out")]
    Write { path: PathBuf, source: std::io::Error },
}

/// The report as Markdown.
pub fn markdown(material: &Material) -> Result<String, ReportError> {
    render(MARKDOWN, material)
}

/// The report as one HTML file that needs nothing else.
pub fn html(material: &Material) -> Result<String, ReportError> {
    render(HTML, material)
}

/// Writes `report.md`, `report.html` and `analysis.json` into a folder: their paths.
pub fn write(material: &Material, folder: &Path) -> Result<Vec<PathBuf>, ReportError> {
    // One run's analysis stands by itself; those of several are a list.
    let analyses: Vec<&Analysis> = material.runs.iter().map(|e| &e.analysis).collect();
    let mut json = match analyses.as_slice() {
        [one] => serde_json::to_string_pretty(one)?,
        more => serde_json::to_string_pretty(more)?,
    };
    json.push('\n');
    let files = [(MARKDOWN, markdown(material)?), (HTML, html(material)?), ("analysis.json", json)];
    let mut paths = Vec::new();
    for (name, text) in files {
        let path = folder.join(name);
        write_atomically(&path, text.as_bytes()).map_err(|source| ReportError::Write { path: path.clone(), source })?;
        paths.push(path);
    }
    Ok(paths)
}

fn render(name: &str, material: &Material) -> Result<String, ReportError> {
    let mut environment = Environment::new();
    environment.set_keep_trailing_newline(true);
    environment.set_trim_blocks(true);
    environment.set_lstrip_blocks(true);
    let is_page = |name: &str| Path::new(name).extension().is_some_and(|extension| extension == "html");
    environment.set_auto_escape_callback(move |name| if is_page(name) { AutoEscape::Html } else { AutoEscape::None });
    // As minijinja does it, but for the slash, which is harmless in text and stands in every path.
    environment.set_formatter(|out, state, value| match value.as_str() {
        Some(text) if !value.is_safe() && matches!(state.auto_escape(), AutoEscape::Html) => {
            Ok(out.write_str(&format::escaped(text))?)
        }
        _ => minijinja::escape_formatter(out, state, value),
    });
    environment.add_filter("cell", |text: String| text.replace('|', "\\|").replace(['\n', '\r'], " "));
    environment.add_global("style", Value::from_safe_string(STYLE.to_owned()));
    environment.add_global("script", Value::from_safe_string(SCRIPT.to_owned()));
    for (name, template) in TEMPLATES {
        environment.add_template(name, template)?;
    }
    let document = Document::new(material)?;
    let runs: Vec<PathBuf> = material.runs.iter().map(|e| e.root.clone()).collect();
    let text = environment.get_template(name)?.render(Value::from_serialize(&document))?;
    Ok(format::without_places(&text, &projects(material), &runs))
}

/// Where the project was when its runs were made, by the workloads that are part of it.
fn projects(material: &Material) -> Vec<PathBuf> {
    let scripts = material.runs.iter().flat_map(|e| &e.analysis.manifest.workloads).map(|w| &w.script);
    let own = scripts.filter(|script| script.parent().is_some_and(|folder| folder.ends_with("benchmarks/workloads")));
    let mut projects: Vec<PathBuf> = own.filter_map(|script| script.ancestors().nth(3).map(Path::to_owned)).collect();
    projects.sort();
    projects.dedup();
    projects
}
