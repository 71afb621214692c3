-- A store as it was written before runs had events, artefacts and machines: the schema's own statements, one run.
CREATE TABLE runs (
	id VARCHAR(40) NOT NULL, name VARCHAR(200) NOT NULL, state VARCHAR(16) NOT NULL, config TEXT NOT NULL,
	stop_requested BOOLEAN NOT NULL, created DATETIME NOT NULL, started DATETIME, updated DATETIME, ended DATETIME,
	pid INTEGER, pid_started FLOAT, phase VARCHAR(16), done INTEGER NOT NULL, total INTEGER NOT NULL,
	fraction FLOAT NOT NULL, eta_s FLOAT, train_loss FLOAT, validation_loss FLOAT, best_validation_loss FLOAT,
	learning_rate FLOAT, windows_per_s FLOAT, memory_mib FLOAT, message TEXT NOT NULL, error TEXT,
	summary TEXT NOT NULL, PRIMARY KEY (id)
);
CREATE INDEX runs_by_state ON runs (state);
CREATE INDEX runs_by_age ON runs (created);
CREATE TABLE curves (
	run_id VARCHAR(40) NOT NULL, step INTEGER NOT NULL, train_loss FLOAT, validation_loss FLOAT, learning_rate FLOAT,
	PRIMARY KEY (run_id, step)
);
INSERT INTO runs (id, name, state, config, stop_requested, created, done, total, fraction, message, summary)
VALUES ('20261101-1000-abcde', 'Before', 'finished', '{}', 0, '2026-11-01 10:00:00.000000', 4, 4, 1.0, '',
	'{"skill": 0.2}');
INSERT INTO runs (id, name, state, config, stop_requested, created, done, total, fraction, message, summary)
VALUES ('20261101-1001-abcde', 'Waiting', 'queued', '{}', 0, '2026-11-01 10:01:00.000000', 0, 0, 0.0, '', '{}');
INSERT INTO curves VALUES ('20261101-1000-abcde', 4, 0.5, 0.6, 0.001);
