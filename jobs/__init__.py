"""What a user sees: audit spec, plan, driver, reducers, report and command line."""
