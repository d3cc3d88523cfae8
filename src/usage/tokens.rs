//! Token types: disjoint, so that any of them add up.

/// What a token was used for. No token has two types.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(usize)]
pub enum TokenType {
    /// Text read that came from no cache.
    Input,
    /// Audio read.
    AudioInput,
    /// Images read.
    ImageInput,
    /// Video read.
    VideoInput,
    /// Read from a provider's cache.
    CachedInput,
    /// Read and written to a cache for minutes.
    CacheWrite,
    /// Read and written to a cache for an hour.
    CacheWrite1h,
    /// Text written.
    Output,
    /// Thoughts, billed as output and not shown.
    Reasoning,
    /// Audio written.
    AudioOutput,
    /// Images written.
    ImageOutput,
}

impl TokenType {
    /// All of them, in the order of the contract.
    pub const ALL: [Self; 11] = [
        Self::Input,
        Self::AudioInput,
        Self::ImageInput,
        Self::VideoInput,
        Self::CachedInput,
        Self::CacheWrite,
        Self::CacheWrite1h,
        Self::Output,
        Self::Reasoning,
        Self::AudioOutput,
        Self::ImageOutput,
    ];

    /// The contract's word, as a label value, a JSON key and a column.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::AudioInput => "audio_input",
            Self::ImageInput => "image_input",
            Self::VideoInput => "video_input",
            Self::CachedInput => "cached_input",
            Self::CacheWrite => "cache_write",
            Self::CacheWrite1h => "cache_write_1h",
            Self::Output => "output",
            Self::Reasoning => "reasoning",
            Self::AudioOutput => "audio_output",
            Self::ImageOutput => "image_output",
        }
    }

    /// Whether the model wrote it. All that is not output was read, and counts towards the context.
    pub const fn is_output(self) -> bool {
        matches!(self, Self::Output | Self::Reasoning | Self::AudioOutput | Self::ImageOutput)
    }
}

/// A count for each token type that was reported. What was not reported is absent, which is not zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tokens([Option<u64>; TokenType::ALL.len()]);

impl Tokens {
    /// A reported count; `None` where nothing was said.
    pub fn get(&self, kind: TokenType) -> Option<u64> {
        self.0[kind as usize]
    }

    /// Notes a count; an absent one changes nothing.
    pub fn set(&mut self, kind: TokenType, count: Option<u64>) {
        if count.is_some() {
            self.0[kind as usize] = count;
        }
    }

    /// This map with a count.
    #[must_use]
    pub fn with(mut self, kind: TokenType, count: u64) -> Self {
        self.set(kind, Some(count));
        self
    }

    /// The reported counts in the order of the contract.
    pub fn iter(&self) -> impl Iterator<Item = (TokenType, u64)> + '_ {
        TokenType::ALL.into_iter().filter_map(|kind| Some((kind, self.get(kind)?)))
    }

    /// Everything read, from caches and to caches too: what selects the long-context price.
    pub fn context(&self) -> u64 {
        self.read().unwrap_or(0)
    }

    /// All tokens.
    pub fn total(&self) -> u64 {
        self.iter().fold(0, |sum, (_, count)| sum.saturating_add(count))
    }

    /// Everything read; `None` when nothing was reported of it.
    pub fn read(&self) -> Option<u64> {
        let counts = self.iter().filter(|(kind, _)| !kind.is_output());
        counts.map(|(_, count)| count).reduce(u64::saturating_add)
    }

    /// Everything written; `None` when nothing was reported of it.
    pub fn written(&self) -> Option<u64> {
        let counts = self.iter().filter(|(kind, _)| kind.is_output());
        counts.map(|(_, count)| count).reduce(u64::saturating_add)
    }

    /// Whether no count was reported.
    pub fn is_unreported(&self) -> bool {
        self.0.iter().all(Option::is_none)
    }
}
