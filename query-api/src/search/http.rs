//! `GET /v1/{read-model}/search` and `GET /v1/{read-model}/suggest`.

use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use daybook_http::Problem;
use daybook_kernel::Secret;
use daybook_process::metrics;
use daybook_proto::levels;
use daybook_search::{FacetLevel, FacetValue, PriceRange, SearchAnswer, SearchHit, SearchIndex, SearchRequest, Suggestion, token};
use serde_json::{Map, Value, json};
use tokio::task::AbortHandle;

use super::feed::Fresh;
use super::{params, positions};
use crate::answer::consistency::{self, POSITION, Wanted};
use crate::answer::{negotiate, response};
use crate::entry::Form;
use crate::freshness::Generations;
use crate::model::QueryModel;
use crate::source::HIDDEN;
use crate::store::Store;

/// The state that searches are answered from.
pub(crate) struct Search {
    pub(crate) fresh: Arc<Fresh>,
    pub(crate) model: QueryModel,
    pub(crate) secret: Secret,
    pub(crate) default_wait: Duration,
    pub(crate) max_wait: Duration,
    generations: Arc<Generations>,
}

/// The routes of searching, below its read model. A key of such a name has its page at `{key}/page`, as every key has.
pub(crate) const ROUTES: [&str; 2] = ["search", "suggest"];

/// The routes of a search.
pub(crate) fn routes(search: Arc<Search>) -> Router {
    let model = &search.model.name;
    let [to_find, to_suggest] = ROUTES.map(|route| format!("/v1/{model}/{route}"));
    Router::new().route(&to_find, get(find)).route(&to_suggest, get(suggest)).with_state(search)
}

async fn find(State(search): State<Arc<Search>>, RawQuery(query): RawQuery, headers: HeaderMap) -> Response {
    let begun = Instant::now();
    let answer = search.find(query.as_deref(), &headers).await;
    finish(&search, "search", begun, answer)
}

async fn suggest(State(search): State<Arc<Search>>, RawQuery(query): RawQuery, headers: HeaderMap) -> Response {
    let begun = Instant::now();
    let answer = search.suggest(query.as_deref(), &headers).await;
    finish(&search, "suggest", begun, answer)
}

fn finish(search: &Search, what: &str, begun: Instant, answer: Result<Response, Problem>) -> Response {
    let response = answer.unwrap_or_else(|p| p.header(header::CACHE_CONTROL, HeaderValue::from_static("no-store")).into_response());
    let model = format!("{}/{what}", search.model.name);
    metrics::QUERY_REQUESTS.with([&model, response.status().as_str()]).increment(1);
    metrics::QUERY_TIME.with([&model]).record(begun.elapsed().as_secs_f64());
    response
}

impl Search {
    /// Begins to read what is searched. Ends with the returned task.
    pub(crate) fn open(
        model: QueryModel,
        fresh: Arc<Fresh>,
        store: Store,
        generations: Arc<Generations>,
        secret: Secret,
        (default_wait, max_wait): (Duration, Duration),
    ) -> (Arc<Self>, AbortHandle) {
        let keeping = tokio::spawn(fresh.clone().keep(store)).abort_handle();
        (Arc::new(Self { fresh, model, secret, default_wait, max_wait, generations }), keeping)
    }

    /// The reason why nothing can be searched yet.
    pub(crate) fn unread(&self) -> Option<String> {
        self.fresh.positions().borrow().places.is_empty().then(|| "what is searched is being read".to_owned())
    }

    async fn find(self: &Arc<Self>, query: Option<&str>, headers: &HeaderMap) -> Result<Response, Problem> {
        negotiate::takes(headers, &negotiate::SEARCHED)?;
        let (request, page_token) = params::search(query, self.fresh.schema())?;
        let from = match page_token {
            None => None,
            Some(text) => Some(token::read(&self.secret, &self.model.name, &request, &text).ok_or_else(|| {
                Problem::invalid("page_token", "must be the nextPageToken of a search with the same q, filters, currency and sort")
            })?),
        };
        let search = self.clone();
        self.answer(headers, move |index| {
            let edges = search.fresh.schema().edges(request.filter.currency.as_deref().unwrap_or_default());
            let answer = index.page(&request, &edges, from);
            let next = answer.next.as_ref().map(|c| token::write(&search.secret, &search.model.name, &request, &answer.plan, c));
            search.rendered(&answer, &request, next)
        })
        .await
    }

    async fn suggest(self: &Arc<Self>, query: Option<&str>, headers: &HeaderMap) -> Result<Response, Problem> {
        negotiate::takes(headers, &negotiate::SEARCHED)?;
        let (text, limit) = params::suggest(query)?;
        let search = self.clone();
        self.answer(headers, move |index| {
            let suggestions: Vec<Value> = index.suggest(&text, limit).iter().map(|s| search.suggestion(s)).collect();
            json!({ "suggestions": suggestions })
        })
        .await
    }

    /// Waits for the request's token, works the answer out beside those who serve, and tells how fresh it is.
    async fn answer(&self, headers: &HeaderMap, work: impl FnOnce(&SearchIndex) -> Value + Send + 'static) -> Result<Response, Problem> {
        let model = &self.model.name;
        let refused = |why| Problem::invalid(consistency::TOKEN_NAME, why);
        let Wanted { tokens, stored } = consistency::tokens(headers, &self.model).map_err(refused)?;
        if stored {
            return Err(refused(format!("{} is for read models: a search takes the token of a command's result", consistency::STORED)));
        }
        let positions = self.fresh.positions();
        if !tokens.is_empty() {
            let wait = negotiate::wait(headers, self.default_wait, self.max_wait);
            positions::reach(positions.clone(), model, &tokens, wait).await?;
        }
        // Taken before the answer is made: it says no more than what is in it. Where the index was read from a state further than
        // what was pushed, a stream that shows nothing is named at the next look into the database, within a second.
        let hidden = self.generations.answering(model).and_then(|memory| memory.hidden.header());
        let at = positions.borrow().clone();
        if let Some(why) = self.unread() {
            return Err(Problem::unavailable(why, 1));
        }
        let fresh = self.fresh.clone();
        let worked = tokio::task::spawn_blocking(move || work(&fresh.index.read().unwrap_or_else(PoisonError::into_inner)).to_string());
        let body = worked.await.map_err(|error| {
            tracing::error!(model, %error, "a search ended without an answer");
            Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "the search ended without an answer; the operator has been told")
        })?;
        Ok(response::made(
            headers,
            Form::Json,
            body.into_bytes(),
            [(POSITION, consistency::position_header(&at.tokens())), (HIDDEN, hidden)],
        ))
    }

    fn rendered(&self, answer: &SearchAnswer, request: &SearchRequest, next: Option<String>) -> Value {
        let mut body = json!({
            "items": answer.hits.iter().map(|hit| self.item(hit)).collect::<Vec<_>>(),
            "total": answer.total,
            "currency": request.filter.currency,
        });
        let mut facets = Map::new();
        let values = |values: &[FacetValue]| values.iter().map(|v| json!({ "value": v.value, "count": v.count })).collect::<Value>();
        if let Some(brands) = &answer.facets.brand {
            facets.insert("brand".to_owned(), values(brands));
        }
        if let Some(categories) = &answer.facets.category {
            let level = |at: &FacetLevel| json!({ "value": at.path.join(levels::SEPARATOR), "path": at.path, "level": at.path.len(), "count": at.count });
            facets.insert("category".to_owned(), categories.iter().map(level).collect());
        }
        for (name, counted) in &answer.facets.properties {
            facets.insert(params::of_property(self.fresh.schema(), name), values(counted));
        }
        if let Some(ranges) = &answer.facets.price {
            let range = |r: &PriceRange| match r.to {
                Some(to) => json!({ "from": r.from.to_string(), "to": to.to_string(), "count": r.count }),
                None => json!({ "from": r.from.to_string(), "count": r.count }),
            };
            facets.insert("price".to_owned(), ranges.iter().map(range).collect());
        }
        if !facets.is_empty() {
            body["facets"] = Value::Object(facets);
        }
        if let Some(next) = next {
            body["nextPageToken"] = next.into();
        }
        if let Some(corrected) = &answer.corrected {
            body["corrected"] = corrected.as_str().into();
        }
        body
    }

    fn item(&self, hit: &SearchHit) -> Value {
        let mut item = json!({
            "title": hit.title,
            "brand": hit.brand,
            "category": hit.category,
            "price": { "currency": hit.currency, "minorUnits": hit.price.to_string() },
            "inStock": hit.in_stock,
        });
        item[&self.fresh.reader.schema().key] = hit.key.as_str().into();
        item
    }

    fn suggestion(&self, suggestion: &Suggestion) -> Value {
        match suggestion {
            Suggestion::Words { text, count } => json!({ "kind": "query", "text": text, "count": count }),
            Suggestion::Brand { name, count } => json!({ "kind": "brand", "text": name, "count": count }),
            Suggestion::Category { name, count } => json!({ "kind": "category", "text": name, "count": count }),
            Suggestion::Product(hit) => {
                let mut product = json!({ "kind": "item", "text": hit.title });
                product[&self.fresh.reader.schema().key] = hit.key.as_str().into();
                product
            }
        }
    }
}
