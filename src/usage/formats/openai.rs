//! The containment that OpenAI's formats share: details are parts of the whole, and overlap with the cached part.

use crate::usage::event::Usage;
use crate::usage::tokens::TokenType;

/// What was read, as a whole and its parts.
#[derive(Default)]
pub struct Prompt {
    /// All of it.
    pub whole: u64,
    /// Of it, from a cache.
    pub cached: Option<u64>,
    /// Of it, written to a cache.
    pub written: Option<u64>,
    /// Of it, audio; of the audio, from a cache when that was told.
    pub audio: Option<u64>,
    /// Of it, images.
    pub image: Option<u64>,
}

impl Prompt {
    /// Splits the whole into disjoint counts. Modalities count cached tokens too, so they are cut to what the
    /// cache left over; text is what remains.
    pub fn split(self, usage: &mut Usage) {
        let from_cache = self.cached.unwrap_or(0).saturating_add(self.written.unwrap_or(0));
        let left = self.whole.checked_sub(from_cache).unwrap_or_else(|| {
            usage.violations.push("cached_above_input");
            0
        });
        let audio = self.audio.map(|count| count.min(left));
        let left = left - audio.unwrap_or(0);
        let image = self.image.map(|count| count.min(left));
        let tokens = &mut usage.tokens;
        tokens.set(TokenType::Input, Some(left - image.unwrap_or(0)));
        tokens.set(TokenType::AudioInput, audio);
        tokens.set(TokenType::ImageInput, image);
        tokens.set(TokenType::CachedInput, self.cached);
        tokens.set(TokenType::CacheWrite, self.written);
    }
}

/// What was written, as a whole and its parts.
#[derive(Default)]
pub struct Completion {
    /// All of it; with xAI, without the thoughts.
    pub whole: Option<u64>,
    /// Thoughts.
    pub reasoning: Option<u64>,
    /// Audio.
    pub audio: Option<u64>,
    /// Images.
    pub image: Option<u64>,
}

impl Completion {
    /// Splits the whole into disjoint counts. Whether the thoughts are inside the whole is told by the total.
    pub fn split(self, prompt: u64, total: Option<u64>, usage: &mut Usage) {
        let Some(whole) = self.whole else {
            // Nothing was said of the output; what the total says beyond the input is still known.
            let rest = total.and_then(|total| total.checked_sub(prompt)).filter(|rest| *rest > 0);
            usage.tokens.set(TokenType::Output, rest);
            return;
        };
        let reasoning = self.reasoning.unwrap_or(0);
        let inside = is_inside(prompt, whole, reasoning, total, usage);
        let parts = self.audio.unwrap_or(0).saturating_add(self.image.unwrap_or(0));
        let parts = if inside { parts.saturating_add(reasoning) } else { parts };
        let text = whole.checked_sub(parts).unwrap_or_else(|| {
            usage.violations.push("parts_above_output");
            0
        });
        let tokens = &mut usage.tokens;
        tokens.set(TokenType::Output, Some(text));
        tokens.set(TokenType::Reasoning, self.reasoning);
        tokens.set(TokenType::AudioOutput, self.audio);
        tokens.set(TokenType::ImageOutput, self.image);
    }
}

/// Whether thoughts are part of the completion. The total decides; without one, OpenAI's meaning holds unless it cannot.
fn is_inside(prompt: u64, whole: u64, reasoning: u64, total: Option<u64>, usage: &mut Usage) -> bool {
    let without = prompt.saturating_add(whole);
    match total {
        Some(total) if total == without => {}
        Some(total) if reasoning > 0 && total == without.saturating_add(reasoning) => return false,
        Some(_) => usage.violations.push("total_mismatch"),
        None => {}
    }
    if reasoning > whole {
        usage.violations.push("reasoning_above_output");
    }
    reasoning <= whole
}
