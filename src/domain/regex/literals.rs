//! Which literal texts a pattern cannot match without.

use regex_syntax::hir::literal::{ExtractKind, Extractor, Seq};
use regex_syntax::hir::{Hir, HirKind, Look};

/// More alternatives than this are no help to an index.
const MAX_LITERALS: usize = 64;
/// A literal shorter than this is found in too many texts to be worth looking for.
const MIN_NEEDLE: usize = 2;

/// What a text must be or contain for a pattern to have a chance. Never wrong, but perhaps not the best that could be said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::domain) enum Needs {
    /// The text must equal one of these, and then it matches.
    Equal(Vec<String>),
    /// The text must contain one of these.
    Contain(Vec<String>),
    /// Nothing is known.
    Unknown,
}

impl Needs {
    /// A text must contain one of `literals`, if looking for them is worth it.
    pub(super) fn one_of(literals: Vec<String>) -> Self {
        let worth_it = !literals.is_empty()
            && literals.len() <= MAX_LITERALS
            && literals.iter().all(|literal| literal.len() >= MIN_NEEDLE);
        if worth_it { Self::Contain(literals) } else { Self::Unknown }
    }

    /// Works it out for a translated pattern.
    pub(super) fn of(translated: &str) -> Self {
        let Ok(hir) = regex_syntax::parse(translated) else { return Self::Unknown };
        if let Some(inner) = between_anchors(&hir) {
            let whole = extract(&inner, ExtractKind::Prefix);
            if whole.is_exact()
                && let Some(literals) = texts(&whole)
            {
                return Self::Equal(literals);
            }
        }
        let prefixes = texts(&extract(&hir, ExtractKind::Prefix)).map_or(Self::Unknown, Self::one_of);
        if prefixes != Self::Unknown {
            return prefixes;
        }
        texts(&extract(&hir, ExtractKind::Suffix)).map_or(Self::Unknown, Self::one_of)
    }
}

/// The expression between `^` and `$`, when that is all there is.
fn between_anchors(hir: &Hir) -> Option<Hir> {
    let HirKind::Concat(parts) = hir.kind() else { return None };
    let [first, inner @ .., last] = parts.as_slice() else { return None };
    let is_look = |hir: &Hir, look: Look| matches!(hir.kind(), HirKind::Look(found) if *found == look);
    // The extractor steps over looks, so one in the middle (a second anchor, a word edge) would make "exact" a lie.
    let anchored = is_look(first, Look::Start) && is_look(last, Look::End);
    let inner = Hir::concat(inner.to_vec());
    (anchored && inner.properties().look_set().is_empty()).then_some(inner)
}

fn extract(hir: &Hir, kind: ExtractKind) -> Seq {
    let mut extractor = Extractor::new();
    // Both cases of a letter are worth listing, ten digits are not.
    extractor.kind(kind).limit_class(4).limit_total(MAX_LITERALS);
    extractor.extract(hir)
}

/// The literals as texts; `None` when they are not a finite list of texts, or none is left.
fn texts(seq: &Seq) -> Option<Vec<String>> {
    let literals = seq.literals()?;
    if literals.is_empty() || literals.len() > MAX_LITERALS {
        return None;
    }
    literals.iter().map(|literal| String::from_utf8(literal.as_bytes().to_vec()).ok()).collect()
}
