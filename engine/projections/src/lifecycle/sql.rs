//! The statements of a generation's life, one a file.

macro_rules! statements {
    ($($name:ident = $file:literal),* $(,)?) => {
        $(pub(crate) const $name: &str = include_str!(concat!("../sql/", $file));)*
    };
}

statements! {
    ALL_SKIPPED = "all_skipped.sql",
    BEGIN_GENERATION = "begin_generation.sql",
    COPY_PARTS = "copy_parts.sql",
    COPY_VIEWS = "copy_views.sql",
    COPY_WRITERS = "copy_writers.sql",
    DROP_GENERATION = "drop_generation.sql",
    FORGET_GENERATION = "forget_generation.sql",
    GENERATION_CHECKPOINTS = "generation_checkpoints.sql",
    GENERATION_DETAILS = "generation_details.sql",
    GENERATIONS = "generations.sql",
    INSERT_PARKED = "insert_parked.sql",
    LOCK_CHECKPOINTS = "lock_checkpoints.sql",
    LOCK_GENERATION_ROWS = "lock_generation_rows.sql",
    LOCK_GENERATIONS = "lock_generations.sql",
    LOCK_HOLDER = "lock_holder.sql",
    NEWLY_PARKED = "newly_parked.sql",
    READ_PARTS = "read_parts.sql",
    SET_CHECKPOINTS = "set_checkpoints.sql",
    SET_GENERATION_STATE = "set_generation_state.sql",
    SETTLE_PUSHED = "settle_pushed.sql",
}
