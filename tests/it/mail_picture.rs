//! The HTML mail in a real browser: it fits a phone, however long the words in it are, and asks nobody for anything.

use std::io::Write;
use std::process::{Command, Stdio};

use autoheal::notify::message::{Pages, html};

use crate::support::message::exhausted;

/// A narrow phone.
const WIDTH: usize = 360;

fn browser() -> Option<&'static str> {
    let works = |name: &&str| {
        let version = Command::new(name).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
        version.is_ok_and(|status| status.success())
    };
    ["chromium-headless-shell", "chromium", "chromium-browser", "google-chrome"].into_iter().find(works)
}

#[test]
fn the_mail_fits_a_phone_without_scrolling_sideways() {
    let Some(browser) = browser() else {
        eprintln!("no Chromium on this machine, so nobody looks at the mail; scripts/pictures.sh installs one");
        return;
    };
    let mut outgoing = exhausted("on-call/email", "ui");
    let heal = &mut outgoing.message.heal;
    heal.description = "word".repeat(100);
    heal.runbook = format!("https://wiki.example.com/{}", "a".repeat(300));
    let alert = &mut heal.alerts[0];
    alert.labels.insert("l".repeat(60), "x".repeat(400));
    alert.annotations.insert("dashboard".to_owned(), format!("https://grafana.example.com/d/{}", "b".repeat(300)));
    let page = html::render(&outgoing.message, &Pages::new(Some("https://autoheal.example.com")));
    // Nothing is loaded from anywhere: not a picture, not a font, not a style.
    for remote in ["src=", "<link", "<img", "@import", "url("] {
        assert!(!page.contains(remote), "{remote} in {page}");
    }

    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("mail.html");
    let measure = "<script>document.title = document.documentElement.scrollWidth + ' of ' + window.innerWidth</script>";
    std::fs::File::create(&file)
        .unwrap()
        .write_all(page.replace("</body>", &format!("{measure}</body>")).as_bytes())
        .unwrap();
    let profile = format!("--user-data-dir={}", directory.path().join("profile").display());
    let size = format!("--window-size={WIDTH},800");
    let output = Command::new(browser)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", &profile, &size, "--dump-dom"])
        .arg(format!("file://{}", file.display()))
        .output()
        .unwrap();
    let dom = String::from_utf8_lossy(&output.stdout);
    let measured = dom.split_once("<title>").and_then(|(_, rest)| rest.split_once("</title>")).map(|(title, _)| title);
    assert_eq!(measured, Some(format!("{WIDTH} of {WIDTH}").as_str()), "{}", String::from_utf8_lossy(&output.stderr));
}
