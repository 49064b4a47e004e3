//! The page in a real browser: Chromium without a window, driven by its debugging protocol over two pipes.
//!
//! Where there is no Chromium the test says so and passes; `PEPJIT_REQUIRE_BROWSER=1` makes that a failure, and
//! `PEPJIT_SCREENSHOTS=DIR` keeps what it saw.

mod support;

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use pepjit_harness::model::FailureKind;
use serde_json::{Value, json};
use support::{fixture, material, two_machines};

/// Longer than this, and the browser hangs.
const PATIENCE: Duration = Duration::from_mins(1);

fn chromium() -> Option<PathBuf> {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&folders).flat_map(|folder| ["chromium", "chromium-browser"].map(|name| folder.join(name)));
    found.into_iter().find(|path| path.is_file())
}

/// A browser with one page.
struct Browser {
    child: Child,
    input: ChildStdin,
    messages: Receiver<Value>,
    session: String,
    next: u64,
    /// What the page said and asked for, that it should not.
    complaints: Vec<String>,
    _profile: tempfile::TempDir,
}

impl Browser {
    fn start(program: &Path) -> Self {
        let profile = tempfile::tempdir().expect("a temporary folder");
        // Chromium listens on descriptor 3 and answers on 4: the shell makes these of its own input and output.
        let mut child = Command::new("sh")
            .args(["-c", "exec \"$@\" 3<&0 4>&1 </dev/null >/dev/null 2>&1", "sh"])
            .arg(program)
            .args([
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-dev-shm-usage",
                "--no-first-run",
                "--remote-debugging-pipe",
            ])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the browser starts");
        let input = child.stdin.take().expect("its input");
        let messages = reader(child.stdout.take().expect("its output"));
        let mut browser =
            Self { child, input, messages, session: String::new(), next: 0, complaints: Vec::new(), _profile: profile };
        let target = browser.call("Target.createTarget", &json!({"url": "about:blank"}))["targetId"].clone();
        let attached = browser.call("Target.attachToTarget", &json!({"targetId": target, "flatten": true}));
        attached["sessionId"].as_str().expect("a session").clone_into(&mut browser.session);
        for domain in ["Page", "Runtime", "Log", "Network"] {
            browser.call(&format!("{domain}.enable"), &json!({}));
        }
        browser
    }

    /// Asks, and waits for the answer; what else comes meanwhile is looked at.
    fn call(&mut self, method: &str, params: &Value) -> Value {
        self.next += 1;
        let id = self.next;
        let mut request = json!({"id": id, "method": method, "params": params});
        if !self.session.is_empty() {
            request["sessionId"] = json!(self.session);
        }
        write!(self.input, "{request}\0").and_then(|()| self.input.flush()).expect("the browser listens");
        loop {
            let message = self.messages.recv_timeout(PATIENCE).unwrap_or_else(|e| panic!("{method}: no answer: {e}"));
            if message["id"] == json!(id) {
                assert!(message.get("error").is_none(), "{method}: {}", message["error"]);
                return message["result"].clone();
            }
            self.hear(&message);
        }
    }

    fn hear(&mut self, message: &Value) {
        let params = &message["params"];
        match message["method"].as_str().unwrap_or_default() {
            "Runtime.exceptionThrown" | "Runtime.consoleAPICalled" | "Log.entryAdded" => self.complaints.push(params.to_string()),
            "Network.requestWillBeSent" => {
                let url = params["request"]["url"].as_str().unwrap_or_default();
                if !url.starts_with("file://") && url != "about:blank" {
                    self.complaints.push(format!("a request for {url}"));
                }
            }
            _ => {}
        }
    }

    fn open(&mut self, html: &Path) {
        self.call("Page.navigate", &json!({"url": format!("file://{}", html.display())}));
        let begun = Instant::now();
        while self.eval("document.readyState") != json!("complete") || self.eval("document.title") == json!("") {
            assert!(begun.elapsed() < PATIENCE, "the page doesn't load");
            std::thread::sleep(Duration::from_millis(30));
        }
    }

    /// The value of an expression in the page.
    fn eval(&mut self, expression: &str) -> Value {
        let result =
            self.call("Runtime.evaluate", &json!({"expression": expression, "returnByValue": true, "awaitPromise": true}));
        assert!(result.get("exceptionDetails").is_none(), "{expression}: {result}");
        result["result"]["value"].clone()
    }

    fn size(&mut self, width: u32, height: u32, mobile: bool) {
        let metrics = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": mobile});
        self.call("Emulation.setDeviceMetricsOverride", &metrics);
    }

    fn scheme(&mut self, scheme: &str) {
        self.call("Emulation.setEmulatedMedia", &json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]}));
    }

    fn key(&mut self, key: &str, code: u32) {
        let text = if key == "Enter" { "\r" } else { "" };
        for kind in ["keyDown", "keyUp"] {
            let event = json!({"type": kind, "key": key, "code": key, "windowsVirtualKeyCode": code, "text": text});
            self.call("Input.dispatchKeyEvent", &event);
        }
    }

    /// Keeps a picture where somebody wants to look at it.
    fn picture(&mut self, name: &str) {
        let Some(folder) = std::env::var_os("PEPJIT_SCREENSHOTS").map(PathBuf::from) else { return };
        std::fs::create_dir_all(&folder).expect("a folder");
        let shot = self.call("Page.captureScreenshot", &json!({"format": "png", "captureBeyondViewport": true}));
        let data = decoded(shot["data"].as_str().unwrap_or_default());
        std::fs::write(folder.join(format!("{name}.png")), data).expect("writable");
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Messages end with a null byte. A thread reads them, so that waiting can have an end.
fn reader(output: ChildStdout) -> Receiver<Value> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for message in BufReader::new(output).split(0).map_while(Result::ok) {
            let Ok(value) = serde_json::from_slice(&message) else { continue };
            if sender.send(value).is_err() {
                break;
            }
        }
    });
    receiver
}

/// Base64.
fn decoded(text: &str) -> Vec<u8> {
    let value = |c: u8| match c {
        b'A'..=b'Z' => Some(c - b'A'),
        b'a'..=b'z' => Some(c - b'a' + 26),
        b'0'..=b'9' => Some(c - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    };
    let sextets: Vec<u32> = text.bytes().filter_map(value).map(u32::from).collect();
    let mut out = Vec::new();
    for group in sextets.chunks(4) {
        let bits = group.iter().enumerate().fold(0_u32, |bits, (i, s)| bits | s << (18 - 6 * i));
        out.extend((0..group.len().saturating_sub(1)).map(|i| (bits >> (16 - 8 * i)) as u8));
    }
    out
}

/// The contrast of every visible text with what is behind it (WCAG 2.1), the least with its text; and whether the page is wider
/// than the window.
const LEGIBLE: &str = r#"(() => {
  const parse = (c) => { const m = c.match(/[\d.]+/g).map(Number); return m.length < 4 ? [...m, 1] : m; };
  const light = ([r, g, b]) => { const f = (v) => { v /= 255; return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; };
    return 0.2126 * f(r) + 0.7152 * f(g) + 0.0722 * f(b); };
  const behind = (e) => { for (; e; e = e.parentElement) { const c = parse(getComputedStyle(e).backgroundColor); if (c[3] > 0.5) return c; } return [255, 255, 255, 1]; };
  let least = 99, words = "", seen = 0;
  for (const e of document.querySelectorAll("h1,h2,h3,p,li,td,th,a,summary,dt,dd,label,button,svg text,caption")) {
    if (!e.checkVisibility() || !e.textContent.trim()) continue;
    const style = getComputedStyle(e);
    const ink = light(parse(e.closest("svg") ? style.fill : style.color)), back = light(behind(e.closest("svg") || e));
    const ratio = (Math.max(ink, back) + 0.05) / (Math.min(ink, back) + 0.05);
    seen += 1;
    if (ratio < least) { least = ratio; words = e.textContent.trim().slice(0, 40); }
  }
  return { least, words, seen, // A phone widens its layout to what doesn't fit; the part of it that shows stays as it is.
    wide: document.documentElement.scrollWidth - Math.min(window.innerWidth, window.visualViewport.width * window.visualViewport.scale) };
})()"#;

fn is_legible(browser: &mut Browser, name: &str) {
    let found = browser.eval(LEGIBLE);
    assert!(found["seen"].as_u64().is_some_and(|n| n > 100), "{name}: {found}");
    assert!(found["least"].as_f64().is_some_and(|c| c >= 4.5), "{name}: too little contrast: {found}");
    assert!(found["wide"].as_f64().is_some_and(|w| w <= 1.0), "{name}: the page is wider than the window: {found}");
    browser.picture(name);
}

/// The visible rows of the table of benchmarks, as `workload speed-up`.
const ROWS: &str = r#"Array.from(document.querySelectorAll("table[id$='-table'] tbody tr")).filter((r) => !r.hidden).map((r) => r.cells[0].textContent + " " + r.cells[3].getAttribute("data-v"))"#;

fn rows(browser: &mut Browser) -> Vec<(String, f64)> {
    let rows = browser.eval(ROWS);
    let each = rows.as_array().expect("rows").iter().filter_map(|row| row.as_str()?.split_once(' '));
    each.map(|(name, value)| (name.to_owned(), value.parse().unwrap_or(f64::NAN))).collect()
}

fn sorts_and_filters(browser: &mut Browser) {
    let all = fixture::WORKLOADS.len();
    assert_eq!(rows(browser).len(), all, "at first the main tier is shown");
    let click = |browser: &mut Browser, column: usize| {
        browser.eval(&format!(
            "document.querySelectorAll(\"table[id$='-table'] thead th\")[{column}].querySelector('button').click()"
        ));
    };
    click(browser, 0);
    let by_name = rows(browser);
    assert!(by_name.windows(2).all(|w| w[0].0 <= w[1].0), "{by_name:?}");
    click(browser, 3);
    let falling: Vec<f64> = rows(browser).into_iter().map(|r| r.1).filter(|v| !v.is_nan()).collect();
    assert!(falling.len() >= all - 1 && falling.windows(2).all(|w| w[0] >= w[1]), "{falling:?}");
    click(browser, 3);
    let rising = rows(browser);
    assert!(rising.windows(2).all(|w| w[1].1.is_nan() || w[0].1 <= w[1].1), "what isn't known comes last: {rising:?}");
    assert_eq!(browser.eval("document.querySelectorAll(\"table[id$='-table'] th[aria-sort='ascending']\").length"), json!(1));

    let fill = |browser: &mut Browser, name: &str, value: &str| {
        browser.eval(&format!(
            "(() => {{ const f = document.querySelector('form[data-filters]'); f.elements['{name}'].value = '{value}';\
             f.elements['{name}'].dispatchEvent(new Event('input', {{ bubbles: true }})); }})()"
        ));
    };
    fill(browser, "find", "queens");
    assert_eq!(rows(browser).len(), 1);
    assert_eq!(browser.eval("document.querySelector('form[data-filters] output').textContent"), json!("1 of 24 rows"));
    fill(browser, "tier", "");
    assert_eq!(rows(browser).len(), 4, "on every tier");
    fill(browser, "find", "no such workload");
    assert_eq!(rows(browser).len(), 0);
    fill(browser, "find", "");
    fill(browser, "verdict", "faster");
    let faster = rows(browser);
    assert!(!faster.is_empty() && faster.iter().all(|r| r.1 > 1.0), "{faster:?}");
    browser.eval("document.querySelector('form[data-filters]').reset()");
    std::thread::sleep(Duration::from_millis(50));
    assert_eq!(rows(browser).len(), all, "a reset brings back what was shown at first");
}

fn works_with_keys_and_a_screen_reader(browser: &mut Browser) {
    browser.eval("document.activeElement.blur(); window.scrollTo(0, 0)");
    browser.key("Tab", 9);
    assert_eq!(browser.eval("document.activeElement.className"), json!("skip"), "the first stop skips the links");
    // A heading's button sorts by Enter.
    browser.eval("document.querySelector(\"table[id$='-table'] thead th button\").focus()");
    browser.key("Enter", 13);
    assert_eq!(browser.eval("document.activeElement.closest('th').getAttribute('aria-sort')"), json!("ascending"));
    // The links stand in the order of what they lead to, and lead somewhere.
    let places = "(() => { const all = Array.from(document.querySelectorAll('nav a')).map((a) => document.getElementById(a.hash.slice(1)));\
                  return all.length > 5 && all.every((e, i) => e && (!i || all[i - 1].compareDocumentPosition(e) & Node.DOCUMENT_POSITION_FOLLOWING)); })()";
    assert_eq!(browser.eval(places), json!(true), "links and sections in one order");
    for (what, count) in [
        ("svg:not([role=img])", 0),
        ("svg:not([aria-label])", 0),
        ("th:not([scope])", 0),
        (".wide:not([tabindex])", 0),
        (".wide:not([aria-label])", 0),
        ("main", 1),
        ("h1", 1),
        ("html[lang]", 1),
    ] {
        assert_eq!(browser.eval(&format!("document.querySelectorAll('{what}').length")), json!(count), "{what}");
    }
    let unnamed = "Array.from(document.querySelectorAll('input,select')).filter((e) => !e.labels.length).length";
    assert_eq!(browser.eval(unnamed), json!(0), "a field without a label");
    let jumps = "(() => { let last = 1, bad = []; for (const h of document.querySelectorAll('h1,h2,h3,h4')) { const n = +h.tagName[1];\
                 if (n > last + 1) bad.push(h.textContent); last = n; } return bad; })()";
    assert_eq!(browser.eval(jumps), json!([]), "headings skip a level");
}

fn prints(browser: &mut Browser) {
    browser.call("Emulation.setEmulatedMedia", &json!({"media": "print"}));
    assert_eq!(browser.eval("getComputedStyle(document.querySelector('nav')).display"), json!("none"));
    assert_eq!(browser.eval("getComputedStyle(document.querySelector('.filters')).display"), json!("none"));
    // A heading with a box in it would be blank on every page but the first.
    let boxes = "new Set(Array.from(document.querySelectorAll('thead button')).map((b) => getComputedStyle(b).display)).values().toArray()";
    assert_eq!(browser.eval(boxes), json!(["contents"]), "headings that can be repeated");
    browser.eval("window.dispatchEvent(new Event('beforeprint'))");
    assert_eq!(browser.eval("document.querySelectorAll('details:not(.noprint):not([open])').length"), json!(0));
    let pdf = browser.call("Page.printToPDF", &json!({"preferCSSPageSize": true}));
    let pdf = decoded(pdf["data"].as_str().unwrap_or_default());
    assert!(pdf.starts_with(b"%PDF-") && pdf.len() > 20_000, "{} bytes", pdf.len());
    if let Some(folder) = std::env::var_os("PEPJIT_SCREENSHOTS") {
        std::fs::write(Path::new(&folder).join("print.pdf"), &pdf).expect("writable");
    }
    browser.eval("window.dispatchEvent(new Event('afterprint'))");
    browser.call("Emulation.setEmulatedMedia", &json!({"media": ""}));
}

/// The browser, or nothing where there is none and nobody insists.
fn browser() -> Option<Browser> {
    let Some(program) = chromium() else {
        assert!(std::env::var_os("PEPJIT_REQUIRE_BROWSER").is_none(), "chromium is required and not installed");
        // Not through the test's own output, which nobody sees when it passes.
        let _ =
            writeln!(std::io::stderr(), "skipped: the report in a browser: chromium is not installed (apt-get install chromium)");
        return None;
    };
    Some(Browser::start(&program))
}

/// What was committed last, with all the rows and annexes that a real run has; `PEPJIT_REPORT=FILE` is looked at instead.
#[test]
fn the_published_report_works_in_a_browser() {
    let published = Path::new(env!("CARGO_MANIFEST_DIR")).join("published/report.html");
    let page = std::env::var_os("PEPJIT_REPORT").map_or(published, PathBuf::from);
    let bytes = std::fs::metadata(&page).expect("a report").len();
    assert!(bytes < 2_000_000, "{}: {bytes} bytes", page.display());
    let Some(mut browser) = browser() else { return };
    browser.size(1280, 900, false);
    browser.scheme("light");
    browser.open(&page.canonicalize().expect("a path"));
    is_legible(&mut browser, "published-desktop");
    works_with_keys_and_a_screen_reader(&mut browser);
    browser.scheme("dark");
    is_legible(&mut browser, "published-dark");
    browser.size(390, 844, true);
    is_legible(&mut browser, "published-dark-phone");
    assert_eq!(browser.complaints, Vec::<String>::new(), "errors, console messages or requests");
}

#[test]
fn the_page_works_in_a_browser() {
    let Some(mut browser) = browser() else { return };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let page = |name: &str, material: &pepjit_reports::Material| {
        let path = folder.path().join(name);
        std::fs::write(&path, pepjit_reports::html(material).expect("a report")).expect("writable");
        path
    };
    let one = material(5, |dir| {
        for round in 1..=5 {
            fixture::fail(dir, "pepjit", "json_c", round, FailureKind::Exit, "exit status 1: \"<quoted>\" & more");
        }
    });
    let (one, two) = (page("one.html", &one), page("two.html", &two_machines()));

    browser.size(1280, 900, false);
    browser.scheme("light");
    browser.open(&one);
    is_legible(&mut browser, "desktop");
    sorts_and_filters(&mut browser);
    works_with_keys_and_a_screen_reader(&mut browser);
    prints(&mut browser);
    browser.scheme("dark");
    is_legible(&mut browser, "dark");
    browser.size(390, 844, true);
    is_legible(&mut browser, "dark-phone");
    browser.scheme("light");
    is_legible(&mut browser, "phone");
    browser.open(&two);
    is_legible(&mut browser, "two-phone");
    browser.size(1280, 900, false);
    is_legible(&mut browser, "two-desktop");
    assert_eq!(browser.complaints, Vec::<String>::new(), "errors, console messages or requests");
}
