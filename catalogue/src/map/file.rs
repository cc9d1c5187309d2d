//! A mapping file as it is written.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use super::source::Source;
use crate::rows::Format;

/// The whole file. What one that it is based on says of a section counts where it says nothing of that section itself.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MappingFile {
    based_on: Option<String>,
    pub(super) file: Option<AboutFile>,
    pub(super) product: Option<ProductFile>,
    pub(super) price: Option<PriceFile>,
    pub(super) categories: Option<CategoriesFile>,
    pub(super) attributes: Option<AttributesFile>,
    pub(super) skip: Option<Vec<SkipFile>>,
    pub(super) ignore: Option<Vec<String>>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct AboutFile {
    pub(super) format: Format,
    pub(super) delimiter: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct ProductFile {
    pub(super) sku: Source,
    pub(super) title: Source,
    pub(super) description: Source,
    pub(super) brand: Source,
    pub(super) gtins: Source,
    pub(super) leave_out_bad_gtins: bool,
    pub(super) manufacturer_number: Source,
    pub(super) language: Source,
    pub(super) draft: Source,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PriceFile {
    #[serde(default)]
    pub(super) column: Source,
    pub(super) unit: Unit,
    pub(super) decimal_mark: Option<String>,
    #[serde(default)]
    pub(super) currency: Source,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Unit {
    /// Whole numbers of the smallest unit: cents.
    Minor,
    /// With the decimals that ISO 4217 gives the row's currency.
    Decimal,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct CategoriesFile {
    /// Words, and the category of what is called so.
    pub(super) words: Vec<(String, String)>,
    pub(super) rules: Vec<RuleFile>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RuleFile {
    pub(super) column: Option<String>,
    pub(super) words_of: Option<String>,
    pub(super) equals: Option<Vec<String>>,
    pub(super) begins_with_letter: bool,
    pub(super) length: Option<[usize; 2]>,
    pub(super) category: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AttributesFile {
    #[serde(default)]
    pub(super) numbers: Numbers,
    #[serde(default = "yes")]
    pub(super) yes: String,
    #[serde(default = "no")]
    pub(super) no: String,
    #[serde(default = "separator")]
    pub(super) separator: String,
    #[serde(default)]
    pub(super) columns: BTreeMap<String, Source>,
    #[serde(default)]
    pub(super) prefixes: Vec<PrefixFile>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Numbers {
    /// 6.0 is 6.
    #[default]
    Plain,
    AsWritten,
}

fn yes() -> String {
    "true".to_owned()
}

fn no() -> String {
    "false".to_owned()
}

fn separator() -> String {
    ", ".to_owned()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PrefixFile {
    pub(super) prefix: String,
    #[serde(default)]
    pub(super) keep: bool,
    pub(super) on_clash: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SkipFile {
    pub(super) column: String,
    pub(super) equals: Option<Vec<String>>,
    #[serde(default)]
    pub(super) empty: bool,
}

impl MappingFile {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        toml::from_str(text).map_err(|error| error.to_string())
    }

    pub(super) fn read(path: &Path) -> Result<Self, String> {
        let mut file = Self::alone(path)?;
        let Some(base) = file.based_on.take() else { return Ok(file) };
        let base = path.parent().unwrap_or(Path::new("")).join(base);
        let mut base_file = Self::alone(&base)?;
        if base_file.based_on.is_some() {
            return Err(format!("{}: based_on: {} is based on another itself; one step is taken", path.display(), base.display()));
        }
        macro_rules! inherit { ($($section:ident),*) => { $(if let Some(own) = file.$section { base_file.$section = Some(own); })* } }
        inherit!(file, product, price, categories, attributes, skip, ignore);
        Ok(base_file)
    }

    fn alone(path: &Path) -> Result<Self, String> {
        let text = std::fs::read_to_string(path).map_err(|error| format!("the mapping {} can't be read: {error}", path.display()))?;
        Self::parse(&text).map_err(|error| format!("{}: {error}", path.display()))
    }
}
