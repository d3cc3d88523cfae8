//! A sample of keys, each as likely as any other, from a pass whose length nobody knows beforehand.

/// Names longer than this are counted and not sampled.
const LONGEST: usize = 1024;

/// Algorithm R: of the n-th key the chance to be kept is the sample's size by n.
#[derive(Debug)]
pub struct Sample {
    most: usize,
    seen: u64,
    keys: Vec<Vec<u8>>,
    random: u64,
}

impl Sample {
    /// An empty one of at most so many keys.
    pub fn new(most: usize) -> Self {
        Self { most, seen: 0, keys: Vec::new(), random: 0x9e37_79b9_7f4a_7c15 }
    }

    /// Offers a key.
    pub fn offer(&mut self, key: &[u8]) {
        self.seen += 1;
        if key.len() > LONGEST {
            return;
        }
        if self.keys.len() < self.most {
            self.keys.push(key.to_vec());
            return;
        }
        let at = usize::try_from(self.next() % self.seen).unwrap_or(usize::MAX);
        if let Some(kept) = self.keys.get_mut(at) {
            kept.clear();
            kept.extend_from_slice(key);
        }
    }

    /// How many were offered.
    pub fn seen(&self) -> u64 {
        self.seen
    }

    /// The keys of the sample.
    pub fn into_keys(self) -> Vec<Vec<u8>> {
        self.keys
    }

    /// xorshift64*: nobody gains by guessing it.
    fn next(&mut self) -> u64 {
        self.random ^= self.random >> 12;
        self.random ^= self.random << 25;
        self.random ^= self.random >> 27;
        self.random.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn early_and_late_keys_are_as_likely() {
        let mut sample = Sample::new(1000);
        for number in 0_u32..100_000 {
            sample.offer(&number.to_be_bytes());
        }
        assert_eq!(sample.seen(), 100_000);
        let keys = sample.into_keys();
        let early = keys.iter().filter(|key| key.as_slice() < 50_000_u32.to_be_bytes().as_slice()).count();
        assert_eq!(keys.len(), 1000);
        assert!((400..600).contains(&early), "{early} of 1000 are of the first half");
    }

    #[test]
    fn a_small_group_is_its_own_sample() {
        let mut sample = Sample::new(3);
        sample.offer(b"a");
        sample.offer(&[b'x'; 2000]);
        assert_eq!((sample.seen(), sample.into_keys()), (2, vec![b"a".to_vec()]));
    }
}
