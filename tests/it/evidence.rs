//! Evidence that a symptom is gone: asking for it, and what heals make of the answers.

mod asking;
mod healing;
