//! Markdown and HTML, from one view through two templates.

use std::path::{Path, PathBuf};

use minijinja::{AutoEscape, Environment, Value};
use pepjit_harness::analysis::Analysis;
use pepjit_harness::gate::Judgement;
use pepjit_harness::store::write_atomically;
use thiserror::Error;

use crate::plot::PlotError;
use crate::view::Document;

const MARKDOWN: &str = "report.md";
const HTML: &str = "report.html";

/// What a document is made from: a run's analysis, and the gate's judgement of it where there is one.
#[derive(Debug, Clone)]
pub struct Evidence {
    /// What the run says.
    pub analysis: Analysis,
    /// What the gate says about it.
    pub judgement: Option<Judgement>,
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
    #[error("cannot write {path}: {source}. Check permissions and free space, or give another folder with --out")]
    Write { path: PathBuf, source: std::io::Error },
}

/// The report as Markdown.
pub fn markdown(evidence: &[Evidence]) -> Result<String, ReportError> {
    render(MARKDOWN, evidence)
}

/// The report as one HTML file that needs nothing else.
pub fn html(evidence: &[Evidence]) -> Result<String, ReportError> {
    render(HTML, evidence)
}

/// Writes `report.md`, `report.html` and `analysis.json` into a folder: their paths.
pub fn write(evidence: &[Evidence], folder: &Path) -> Result<Vec<PathBuf>, ReportError> {
    // One run's analysis stands by itself; those of several are a list.
    let analyses: Vec<&Analysis> = evidence.iter().map(|e| &e.analysis).collect();
    let mut json = match analyses.as_slice() {
        [one] => serde_json::to_string_pretty(one)?,
        more => serde_json::to_string_pretty(more)?,
    };
    json.push('\n');
    let files = [(MARKDOWN, markdown(evidence)?), (HTML, html(evidence)?), ("analysis.json", json)];
    let mut paths = Vec::new();
    for (name, text) in files {
        let path = folder.join(name);
        write_atomically(&path, text.as_bytes()).map_err(|source| ReportError::Write { path: path.clone(), source })?;
        paths.push(path);
    }
    Ok(paths)
}

fn render(name: &str, evidence: &[Evidence]) -> Result<String, ReportError> {
    let mut environment = Environment::new();
    environment.set_keep_trailing_newline(true);
    environment.set_auto_escape_callback(|name| if name == HTML { AutoEscape::Html } else { AutoEscape::None });
    environment.add_filter("cell", |text: String| text.replace('|', "\\|").replace(['\n', '\r'], " "));
    environment.add_template(MARKDOWN, include_str!("templates/report.md.j2"))?;
    environment.add_template(HTML, include_str!("templates/report.html.j2"))?;
    let document = Document::new(evidence)?;
    Ok(environment.get_template(name)?.render(Value::from_serialize(&document))?)
}
