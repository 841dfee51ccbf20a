-- A ledger as revision 001 left it. Never written anew: it stands for the data of a site.
BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('001');
CREATE TABLE area (
	code TEXT NOT NULL, 
	name TEXT NOT NULL, 
	parent TEXT NOT NULL, 
	source TEXT NOT NULL, 
	added_at DATETIME NOT NULL, 
	retired_at DATETIME, 
	CONSTRAINT pk_area PRIMARY KEY (code)
);
INSERT INTO "area" VALUES('320826101000','东门镇','','','2026-06-01 04:00:00.000000',NULL);
CREATE TABLE device (
	id TEXT NOT NULL, 
	name TEXT NOT NULL, 
	kind TEXT NOT NULL, 
	address TEXT NOT NULL, 
	profile TEXT NOT NULL, 
	area TEXT NOT NULL, 
	settings JSON NOT NULL, 
	source TEXT NOT NULL, 
	added_at DATETIME NOT NULL, 
	retired_at DATETIME, 
	CONSTRAINT pk_device PRIMARY KEY (id)
);
INSERT INTO "device" VALUES('pump-7','东门水泵 2','pump_station','modbus+tcp://10.0.4.7:502/1','two_pumps','320826101000','{"ct":40.5}','file:devices.toml','2026-06-01 04:00:00.000000',NULL);
CREATE TABLE entry (
	seq INTEGER NOT NULL, 
	at DATETIME NOT NULL, 
	kind TEXT NOT NULL, 
	topic TEXT NOT NULL, 
	step TEXT NOT NULL, 
	final BOOLEAN NOT NULL, 
	subject TEXT NOT NULL, 
	device TEXT NOT NULL, 
	"by" TEXT NOT NULL, 
	"key" TEXT NOT NULL, 
	body TEXT NOT NULL, 
	prev TEXT NOT NULL, 
	hash TEXT NOT NULL, 
	CONSTRAINT pk_entry PRIMARY KEY (seq)
);
INSERT INTO "entry" VALUES(1,'2026-06-01 04:00:00.000000','alarm','sump high','raised',0,'alarm-1','pump-7','','','{"alarm":"alarm-1","event":"raised","device":"pump-7","rule":"sump high","at":"2026-06-01T04:00:00Z","since":"2026-06-01T03:59:00Z","severity":2,"by":"","note":"","say":{"zh-CN":"前池水位过高","en":"sump level high"},"do":{},"facts":{"sump.level":3.31}}','','75786b35eace778b40010764e5de173292049d54735fa04076751ea349fe5484');
INSERT INTO "entry" VALUES(2,'2026-06-01 04:00:05.000000','alarm','sump high','acknowledged',0,'alarm-1','pump-7','wang.min','','{"alarm":"alarm-1","event":"acknowledged","device":"pump-7","rule":"sump high","at":"2026-06-01T04:00:05Z","since":"2026-06-01T03:59:05Z","severity":2,"by":"wang.min","note":"","say":{"zh-CN":"前池水位过高","en":"sump level high"},"do":{},"facts":{"sump.level":3.31}}','75786b35eace778b40010764e5de173292049d54735fa04076751ea349fe5484','18316f49409a73dc5a689ab047bae127a2f5b206713ae37e9ed3a7f31190448e');
INSERT INTO "entry" VALUES(3,'2026-06-01 04:01:00.000000','alarm','sump high','returned',0,'alarm-1','pump-7','','','{"alarm":"alarm-1","event":"returned","device":"pump-7","rule":"sump high","at":"2026-06-01T04:01:00Z","since":"2026-06-01T04:00:00Z","severity":2,"by":"","note":"","say":{"zh-CN":"前池水位过高","en":"sump level high"},"do":{},"facts":{"sump.level":3.31}}','18316f49409a73dc5a689ab047bae127a2f5b206713ae37e9ed3a7f31190448e','cbed73f254d643ef39c563ac64c72127f92299728d74be44a555cb33c4f61550');
INSERT INTO "entry" VALUES(4,'2026-06-01 04:01:30.000000','alarm','sump high','raised',0,'alarm-2','pump-7','','','{"alarm":"alarm-2","event":"raised","device":"pump-7","rule":"sump high","at":"2026-06-01T04:01:30Z","since":"2026-06-01T04:00:30Z","severity":2,"by":"","note":"","say":{"zh-CN":"前池水位过高","en":"sump level high"},"do":{},"facts":{"sump.level":3.31}}','cbed73f254d643ef39c563ac64c72127f92299728d74be44a555cb33c4f61550','22d5fbc1d55342105fef035c1a0c162d3b718fd5a04ed52289683f48ad65caa7');
INSERT INTO "entry" VALUES(5,'2026-06-01 04:01:40.000000','command','pump1.start','',0,'command-1','pump-7','wang.min','k1','{"id":"command-1","device":"pump-7","action":"pump1.start","args":{"speed":0.8},"asked_by":"wang.min","because":"irrigation","asked_at":"2026-06-01T04:01:40Z","deadline":"2026-06-01T04:02:40Z","key":"k1"}','22d5fbc1d55342105fef035c1a0c162d3b718fd5a04ed52289683f48ad65caa7','69965991f3dbfcf3ab8895b02c7c0c86a9924d3878de03fd283cc42ffd354d88');
INSERT INTO "entry" VALUES(6,'2026-06-01 04:01:41.000000','receipt','pump1.start','sent',0,'command-1','pump-7','','','{"command":"command-1","stage":"sent","at":"2026-06-01T04:01:41Z","words":{"key":"proof.seen","args":{"point":"pump1.running"}},"last":false}','69965991f3dbfcf3ab8895b02c7c0c86a9924d3878de03fd283cc42ffd354d88','fd4ee8e9380f1133cb44e95634b27740f1512e3448307ef849c7a9f8185c1491');
INSERT INTO "entry" VALUES(7,'2026-06-01 04:01:44.000000','receipt','pump1.start','confirmed',1,'command-1','pump-7','','','{"command":"command-1","stage":"confirmed","at":"2026-06-01T04:01:44Z","words":{"key":"proof.seen","args":{"point":"pump1.running"}},"last":false}','fd4ee8e9380f1133cb44e95634b27740f1512e3448307ef849c7a9f8185c1491','7a98a95e6622f2556616016f47cb46ed9a90f4a108d4d3b4eed04486203c52fc');
INSERT INTO "entry" VALUES(8,'2026-06-01 04:03:20.000000','command','pump1.start','',0,'command-2','pump-7','wang.min','','{"id":"command-2","device":"pump-7","action":"pump1.start","args":{"speed":0.8},"asked_by":"wang.min","because":"irrigation","asked_at":"2026-06-01T04:03:20Z","deadline":"2026-06-01T04:04:20Z","key":""}','7a98a95e6622f2556616016f47cb46ed9a90f4a108d4d3b4eed04486203c52fc','4be4e57e3d0ab89e5a35f8b2eb7c17e66bb3991b9e565c99ded9010982a8b009');
INSERT INTO "entry" VALUES(9,'2026-06-01 04:03:21.000000','receipt','pump1.start','sent',0,'command-2','pump-7','','','{"command":"command-2","stage":"sent","at":"2026-06-01T04:03:21Z","words":{"key":"proof.seen","args":{"point":"pump1.running"}},"last":false}','4be4e57e3d0ab89e5a35f8b2eb7c17e66bb3991b9e565c99ded9010982a8b009','1cdc464d0f6465be5a23571898ff647c48d28ccf383cecc3128a44c18c6ed147');
INSERT INTO "entry" VALUES(10,'2026-06-01 04:00:00.000000','person','','',0,'wang.min','','admin','','{"event":"added"}','1cdc464d0f6465be5a23571898ff647c48d28ccf383cecc3128a44c18c6ed147','fee7e07f2b563756d09920b39386a78a1690b5238801fbee7d028121a7d84157');
INSERT INTO "entry" VALUES(11,'2026-06-01 04:00:00.000000','registry','','',0,'','','li.na','','{"file":"devices.toml"}','fee7e07f2b563756d09920b39386a78a1690b5238801fbee7d028121a7d84157','63ba4ab64794228b9d6857dc01fe4479807eb4612b40e71be82c33cb6d6bc60c');
CREATE TABLE person (
	name TEXT NOT NULL, 
	full_name TEXT NOT NULL, 
	password TEXT NOT NULL, 
	roles JSON NOT NULL, 
	language TEXT NOT NULL, 
	disabled BOOLEAN NOT NULL, 
	created DATETIME NOT NULL, 
	CONSTRAINT pk_person PRIMARY KEY (name)
);
INSERT INTO "person" VALUES('wang.min','王敏','hash one','["water_operator"]','zh-CN',0,'2026-06-01 04:00:00.000000');
CREATE TABLE session (
	id TEXT NOT NULL, 
	person TEXT NOT NULL, 
	csrf TEXT NOT NULL, 
	created DATETIME NOT NULL, 
	seen DATETIME NOT NULL, 
	expires DATETIME NOT NULL, 
	CONSTRAINT pk_session PRIMARY KEY (id), 
	CONSTRAINT fk_session_person_person FOREIGN KEY(person) REFERENCES person (name) ON DELETE CASCADE
);
INSERT INTO "session" VALUES('s1','wang.min','csrf s1','2026-06-01 04:00:00.000000','2026-06-01 04:00:00.000000','2026-06-02 04:00:00.000000');
CREATE TABLE token (
	id TEXT NOT NULL, 
	name TEXT NOT NULL, 
	person TEXT NOT NULL, 
	secret TEXT NOT NULL, 
	roles JSON NOT NULL, 
	created DATETIME NOT NULL, 
	expires DATETIME, 
	last_used DATETIME, 
	CONSTRAINT pk_token PRIMARY KEY (id), 
	CONSTRAINT fk_token_person_person FOREIGN KEY(person) REFERENCES person (name) ON DELETE CASCADE
);
INSERT INTO "token" VALUES('t1','data board','wang.min','hash','["viewer"]','2026-06-01 04:00:00.000000',NULL,NULL);
CREATE INDEX ix_entry_kind_seq ON entry (kind, seq);
CREATE INDEX ix_entry_device ON entry (kind, device, seq);
CREATE INDEX ix_entry_subject ON entry (kind, subject, step, seq, final);
CREATE INDEX ix_entry_sent ON entry (device, topic, at) WHERE step = 'sent';
CREATE INDEX ix_entry_raised ON entry (device, topic, seq, step) WHERE step = 'raised';
CREATE UNIQUE INDEX uq_entry_command ON entry (subject) WHERE kind = 'command';
CREATE UNIQUE INDEX uq_entry_key ON entry ("by", "key") WHERE kind = 'command' AND key != '';
CREATE INDEX ix_session_person ON session (person);
CREATE INDEX ix_token_person ON token (person);
CREATE TRIGGER entry_refuses_update BEFORE UPDATE ON entry BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: entries are never changed or deleted'); END;
CREATE TRIGGER entry_refuses_delete BEFORE DELETE ON entry BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: entries are never changed or deleted'); END;
COMMIT;
