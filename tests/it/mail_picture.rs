//! The HTML mail in a real browser, in light and dark: it fits a phone, however long the words in it are, can be read, and asks
//! nobody for anything.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use autoheal::domain::message::MessageKind;
use autoheal::domain::template::text::escape_html;
use autoheal::notify::message::{Pages, html};
use serde_json::Value;

use crate::support::message::exhausted;

/// A narrow phone.
const WIDTH: u32 = 360;
const HEIGHT: u32 = 800;
/// How much brighter one of a text and its ground must be than the other, as WCAG counts it for level AA.
const CONTRAST: f64 = 4.5;

/// Says of each mail how wide it is, and how well the worst of its texts stands out.
const MEASURE: &str = r"
const part = value => (value /= 255) <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
const brightness = ([r, g, b]) => 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
const colour = text => text.match(/[\d.]+/g).map(Number);
const ground = (win, element) => {
  for (; element; element = element.parentElement) {
    const found = colour(win.getComputedStyle(element).backgroundColor);
    if (found.length === 3 || found[3] > 0) return found;
  }
  return [255, 255, 255];
};
const measure = frame => {
  const [win, page] = [frame.contentWindow, frame.contentDocument];
  let worst = {contrast: 99};
  const texts = page.createTreeWalker(page.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const text = texts.currentNode.textContent.trim();
    if (!text) continue;
    const element = texts.currentNode.parentElement;
    const two = [colour(win.getComputedStyle(element).color), ground(win, element)].map(brightness).sort((a, b) => b - a);
    const contrast = (two[0] + 0.05) / (two[1] + 0.05);
    if (contrast < worst.contrast) worst = {contrast, text: text.replace(/[<>&]/g, ' ')};
  }
  return {width: page.documentElement.scrollWidth, ground: brightness(ground(win, page.body)), ...worst};
};
window.onload = () => document.title = JSON.stringify([...document.querySelectorAll('iframe')].map(measure));
";

/// The browser to look with. Who names one must get it; elsewhere there may be none.
#[expect(clippy::disallowed_methods, reason = "the script that installs the browser names it")]
fn browser() -> Option<String> {
    if let Ok(named) = std::env::var("AUTOHEAL_TEST_BROWSER") {
        return Some(named);
    }
    let works = |name: &&str| {
        let version = Command::new(name).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
        version.is_ok_and(|status| status.success())
    };
    let names = ["chromium-headless-shell", "chromium", "chromium-browser", "google-chrome"];
    names.into_iter().find(works).map(str::to_owned)
}

/// Opens a file and does one thing with it; nobody else is asked for anything.
fn open(browser: &str, directory: &Path, is_dark: bool, file: &str, deed: &str) -> String {
    let profile = tempfile::tempdir_in(directory).unwrap();
    let output = Command::new(browser)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"])
        .args(["--disable-background-networking", "--disable-component-update", "--hide-scrollbars", "--timeout=60000"])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .arg(format!("--window-size={WIDTH},{HEIGHT}"))
        .arg(format!("--blink-settings=preferredColorScheme={}", u8::from(!is_dark)))
        .arg(deed)
        .arg(format!("file://{}", directory.join(file).display()))
        .output()
        .unwrap_or_else(|error| panic!("{browser}: {error}; scripts/install-parts.sh for-tests installs it"));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    String::from_utf8(output.stdout).unwrap()
}

/// A mail about the longest words there are.
fn mail(kind: MessageKind) -> String {
    let mut outgoing = exhausted("on-call/email", "ui");
    outgoing.message.kind = kind;
    let heal = &mut outgoing.message.heal;
    heal.description = "word".repeat(100);
    heal.runbook = format!("https://wiki.example.com/{}", "a".repeat(300));
    let alert = Arc::make_mut(&mut heal.alerts[0]);
    alert.labels.insert("l".repeat(60), "x".repeat(400));
    alert.annotations.insert("dashboard".to_owned(), format!("https://grafana.example.com/d/{}", "b".repeat(300)));
    html::render(&outgoing.message, &Pages::new(Some("https://autoheal.example.com")))
}

#[test]
fn every_mail_fits_a_phone_and_can_be_read_in_light_and_dark() {
    let Some(browser) = browser() else {
        eprintln!(
            "no Chromium on this machine, so nobody looks at the mail; scripts/install-parts.sh for-tests installs one"
        );
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    // A window is never as narrow as a phone in every Chromium; a frame is.
    let mut frames = "<!DOCTYPE html><meta name=color-scheme content='light dark'>".to_owned();
    for kind in MessageKind::ALL {
        let page = mail(kind);
        // Nothing is loaded from anywhere: not a picture, not a font, not a style.
        for remote in ["src=", "<link", "<img", "@import", "url("] {
            assert!(!page.contains(remote), "{remote} in {page}");
        }
        let page = escape_html(&page);
        let frame = format!("<iframe style='border:0' width={WIDTH} height={HEIGHT} srcdoc=\"{page}\"></iframe>");
        frames.push_str(&frame);
    }
    std::fs::write(directory.path().join("mails.html"), format!("{frames}<script>{MEASURE}</script>")).unwrap();
    std::fs::write(directory.path().join("mail.html"), mail(MessageKind::Exhausted)).unwrap();

    let mut pictures = Vec::new();
    for is_dark in [false, true] {
        let dom = open(&browser, directory.path(), is_dark, "mails.html", "--dump-dom");
        let title = dom.split_once("<title>").and_then(|(_, rest)| rest.split_once("</title>")).map(|(title, _)| title);
        let mails: Vec<Value> = serde_json::from_str(title.unwrap_or_else(|| panic!("{dom}"))).unwrap();
        assert_eq!(mails.len(), MessageKind::ALL.len());
        for (kind, seen) in MessageKind::ALL.iter().zip(&mails) {
            assert_eq!(seen["width"], WIDTH, "{kind:?} scrolls sideways");
            assert!(seen["contrast"].as_f64().unwrap() >= CONTRAST, "{kind:?}, dark: {is_dark}: {seen}");
            assert_eq!(seen["ground"].as_f64().unwrap() < 0.1, is_dark, "{kind:?}: {seen}");
        }
        let picture = directory.path().join(if is_dark { "dark.png" } else { "light.png" });
        open(&browser, directory.path(), is_dark, "mail.html", &format!("--screenshot={}", picture.display()));
        pictures.push(std::fs::read(picture).unwrap());
    }
    for picture in &pictures {
        // A picture's head tells its size.
        assert_eq!(
            (&picture[1..4], &picture[16..24]),
            (&b"PNG"[..], &[WIDTH.to_be_bytes(), HEIGHT.to_be_bytes()].concat()[..])
        );
    }
    assert_ne!(pictures[0], pictures[1]);
}
