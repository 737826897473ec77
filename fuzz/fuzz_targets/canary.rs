//! Panics on one word that no guess hits: scripts/fuzz.sh sees by it that the fuzzer sees where an input leads. Every letter is
//! a branch of its own, because branches are what it sees.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let [b's', data @ ..] = data {
        if let [b'e', data @ ..] = data {
            if let [b'e', data @ ..] = data {
                if let [b'i', data @ ..] = data {
                    if let [b'n', data @ ..] = data {
                        assert!(!data.starts_with(b"g"), "the planted word was found");
                    }
                }
            }
        }
    }
});
