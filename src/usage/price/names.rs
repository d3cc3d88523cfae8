//! The many names of a provider and a model.

/// Our name for a provider, whatever a library or OpenTelemetry calls it.
pub fn canonical_provider(provider: &str) -> &str {
    const NAMES: [(&str, &[&str]); 7] = [
        ("openai", &["openai.chat"]),
        (
            "gemini",
            &[
                "google",
                "google_ai_studio",
                "gcp.gemini",
                "gcp.gen_ai",
                "gcp.vertex_ai",
                "vertex",
                "vertex_ai",
                "google.generative-ai",
            ],
        ),
        ("azure", &["azure_openai", "azure.ai.openai", "az.ai.openai", "azure.ai.inference", "azure_ai"]),
        ("bedrock", &["aws", "aws.bedrock", "aws_bedrock", "amazon-bedrock"]),
        ("mistral", &["mistral_ai", "mistralai"]),
        ("xai", &["x_ai", "x-ai"]),
        ("anthropic", &["claude"]),
    ];
    let known = NAMES.iter().find(|(name, others)| {
        provider.eq_ignore_ascii_case(name) || others.iter().any(|other| provider.eq_ignore_ascii_case(other))
    });
    match known {
        Some((name, _)) => name,
        None => ["cohere", "groq", "deepseek", "openrouter", "ollama"]
            .into_iter()
            .find(|name| provider.eq_ignore_ascii_case(name))
            .unwrap_or(provider),
    }
}

/// Dated models that cost something else than the undated name does today. Without a price of their own they have none.
const OWN_PRICE: [&str; 3] =
    ["gpt-4o-2024-05-13", "gemini-2.5-flash-preview-04-17", "gemini-2.5-flash-lite-preview-06-17"];

/// `gen_ai.provider.name` as OpenTelemetry writes it; a provider that it does not name keeps its own.
pub fn otel_provider(provider: &str) -> &str {
    match canonical_provider(provider) {
        "bedrock" => "aws.bedrock",
        "azure" => "azure.ai.openai",
        "gemini" => "gcp.gemini",
        "mistral" => "mistral_ai",
        "xai" => "x_ai",
        name => name,
    }
}

/// The names under which a model's price may stand, the closest first: as written, without path and provider
/// (`models/…`, `gemini/…`), without `-latest`, without a date unless the date is known to have another price.
pub fn candidates(provider: &str, model: &str) -> Vec<String> {
    let mut names = vec![model.trim().to_ascii_lowercase()];
    let mut add = |name: String| {
        if !name.is_empty() && !names.contains(&name) {
            names.push(name);
        }
    };
    let full = model.trim().to_ascii_lowercase();
    let plain = without_path(provider, &full);
    add(plain.to_owned());
    let stem = plain.strip_suffix("-latest").unwrap_or(plain);
    add(stem.to_owned());
    if !OWN_PRICE.contains(&stem) {
        add(without_date(stem).to_owned());
    }
    names
}

fn without_path<'m>(provider: &str, model: &'m str) -> &'m str {
    let mut rest = model;
    let own = format!("{provider}/");
    loop {
        let shorter = ["models/", "publishers/google/", "google/", "tunedmodels/", own.as_str()]
            .into_iter()
            // A tuned model has its own price.
            .filter(|prefix| *prefix != "tunedmodels/")
            .find_map(|prefix| rest.strip_prefix(prefix));
        match shorter {
            Some(shorter) => rest = shorter,
            None => return rest,
        }
    }
}

/// Cuts `-2024-11-20`, `-20251001`, `@20251001`, `-001` and `-preview-05-20` from the end.
fn without_date(model: &str) -> &str {
    let digits = |text: &str, count: usize| text.len() == count && text.bytes().all(|b| b.is_ascii_digit());
    if let Some((name, date)) = model.rsplit_once(['-', '@'])
        && digits(date, 8)
    {
        return name;
    }
    let mut parts = model.rsplitn(4, '-');
    let tail = [parts.next(), parts.next(), parts.next(), parts.next()];
    match tail {
        [Some(day), Some(month), Some(year), Some(name)] if digits(day, 2) && digits(month, 2) && digits(year, 4) => {
            name
        }
        [Some(day), Some(month), Some("preview"), Some(name)] if digits(day, 2) && digits(month, 2) => name,
        _ => match model.rsplit_once('-') {
            Some((name, version)) if digits(version, 3) && version.starts_with('0') => name,
            _ => model,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dated_name_leads_to_its_model() {
        for (model, name) in [
            ("gpt-4o-2024-11-20", "gpt-4o"),
            ("claude-haiku-4-5-20251001", "claude-haiku-4-5"),
            ("claude-haiku-4-5@20251001", "claude-haiku-4-5"),
            ("gemini-2.5-flash-preview-05-20", "gemini-2.5-flash"),
            ("gemini-2.5-pro-001", "gemini-2.5-pro"),
            ("gpt-5", "gpt-5"),
            ("claude-opus-4-5", "claude-opus-4-5"),
        ] {
            assert_eq!(without_date(model), name);
        }
    }

    #[test]
    fn paths_fall_away() {
        assert!(candidates("gemini", "models/gemini-2.5-pro").contains(&"gemini-2.5-pro".to_owned()));
        assert!(candidates("gemini", "gemini/gemini-2.5-pro").contains(&"gemini-2.5-pro".to_owned()));
        assert_eq!(canonical_provider("gcp.gemini"), "gemini");
        assert_eq!(canonical_provider("OpenAI"), "openai");
    }
}
